"""The cause that is left where an operator and the right one differ in one thing alone, whatever the numbers say."""

from collections.abc import Iterator

import numpy as np

from lwmport.diagnosis.evidence import Diagnosis, Evidence, Side
from lwmport.types import Array


def by_elimination(evidence: Evidence) -> Diagnosis | None:
    """Return the cause if type, wiring or whole settings differ, one of these alone; else None."""
    expected, found = evidence.expected, evidence.found
    if expected is None or found is None or len(expected.names) != len(found.names):
        return None
    differences = list(_differences(expected, found))
    kinds = {kind for kind, _ in differences}
    if len(kinds) != 1 or "number" in kinds or _other_numbers(expected, found):
        return None
    cause = kinds.pop()
    if cause == "wrong-wiring" and sorted(expected.names) == sorted(found.names):
        cause = "swapped-inputs"
    words = "; ".join(says for _, says in differences)
    title = cause.replace("-", " ").capitalize()
    return Diagnosis(cause=cause, explanation=f"{title}: {words}. Nothing else differs.")


def _differences(expected: Side, found: Side) -> Iterator[tuple[str, str]]:
    """Yield each difference that is no number: its cause, and its words."""
    if expected.type != found.type:
        yield "wrong-operator", f"it is {found.type} where {expected.type} is right"
    for name in sorted({*expected.attributes, *found.attributes}):
        right, other = expected.attributes.get(name), found.attributes.get(name)
        if repr(right) != repr(other):
            yield ("number" if _has_floats(right) else "wrong-attribute"), f"{name} is {other} where {right} is right"
    for place, (right, other) in enumerate(zip(expected.names, found.names, strict=True)):
        held = expected.constant[place], found.constant[place]
        if held == (True, True):
            if _is_setting(expected.inputs[place]) and not _equal(expected.inputs[place], found.inputs[place]):
                yield "wrong-attribute", f"{other} is not what another layer of the file has in its place"
        elif right != other:
            yield "wrong-wiring", f"it reads {other} where {right} is right"


def _other_numbers(expected: Side, found: Side) -> bool:
    """Return whether a constant of floats differs too."""
    held = (place for place, both in enumerate(zip(expected.constant, found.constant, strict=True)) if all(both))
    both = [(expected.inputs[place], found.inputs[place]) for place in held]
    return any(not _is_setting(one) and not _equal(one, other) for one, other in both)


def _is_setting(value: Array | None) -> bool:
    return value is not None and value.dtype.kind in "biu"


def _has_floats(value: object) -> bool:
    return isinstance(value, float) or (
        isinstance(value, list | tuple) and any(isinstance(one, float) for one in value)
    )


def _equal(one: Array | None, other: Array | None) -> bool:
    return one is other or (one is not None and other is not None and np.array_equal(one, other))
