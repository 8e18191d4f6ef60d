"""How far an operator that was found is from one that was planted, in steps of the graph."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from faults.draft import Draft
from faults.planting import DRAFTS

FAR = 8
"""Steps behind which it does not matter how many."""


def distance(clean: Path, planted: Path, nodes: Iterable[str], found: str) -> int | None:
    """Return the steps from the nearest of some operators to another one: 0 is the very one, 1 a direct neighbour.

    A step leads along a tensor, of the model before or after the change, or from what holds an operator to it.

    Returns:
        The count; None for one that is not there, or farther than `FAR`.
    """
    pairs = {pair for path in (clean, planted) for pair in _pairs(DRAFTS[path.suffix](path))}
    near = {
        one: {b for a, b in pairs if a == one} | {a for a, b in pairs if b == one} for pair in pairs for one in pair
    }
    reached = set(nodes)
    for steps in range(FAR + 1):
        if found in reached:
            return steps
        reached |= {name for one in reached for name in near.get(one, ())}
    return None


def _pairs(draft: Draft) -> Iterator[tuple[str, str]]:
    """Yield the names of two operators of which one reads the other, or holds it."""
    made = {value: operator.name for operator in draft.operators for value in draft.outputs(operator)}
    for operator in draft.operators:
        yield from ((made[value], operator.name) for value in draft.inputs(operator) if value in made)
        yield from ((holder, operator.name) for holder in operator.enclosing)
