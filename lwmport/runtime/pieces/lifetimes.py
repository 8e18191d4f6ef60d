"""How long the values of a model that runs an operator at a time are needed."""

from lwmport.runtime.pieces.spec import Pieces


def last_uses(pieces: Pieces) -> dict[int, list[str]]:
    """Return the values that no operator needs behind the one of that number; outputs of the model are left out."""
    last: dict[str, int] = {}
    for number, operator in enumerate(pieces.operators):
        last |= dict.fromkeys((*operator.inputs, *operator.outputs), number)
    kept = {spec.name for spec in pieces.outputs}
    found: dict[int, list[str]] = {}
    for name, number in last.items():
        if name not in kept:
            found.setdefault(number, []).append(name)
    return found
