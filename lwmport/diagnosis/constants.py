"""Constants of the file that are not the right ones: how each came from the right one, and what that is called."""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from lwmport.diagnosis.blockwise import close
from lwmport.diagnosis.changes import Change, change_of
from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.diagnosis.positions import half_positions
from lwmport.diagnosis.reading import given, is_named_after, name_of, plain, with_input
from lwmport.diagnosis.roles import (
    constants_of,
    is_bias,
    is_query_key,
    is_turning,
    is_vision_norm,
    role_of,
)
from lwmport.diagnosis.suspicion import Suspicion, both
from lwmport.diagnosis.wiring import exchanged
from lwmport.types import Array

STORED: Final = {4: 1e-6, 8: 1e-6}
"""Bytes of a float -> the share of the magnitude by which a stored constant may differ from the right one."""

NARROW: Final = 5e-3
"""The same where a constant is stored in 16 bits: less than bfloat16's unit in the last place, 2 ** -8 when rounded."""

FACTOR: Final = 1e-4
"""How far a factor may be from 2."""

LARGEST_COUNT: Final = 1e9
"""Values that a variance is over at most."""

WORDS: Final = {
    "zeroed": "zeroed-weights",
    "partly zeroed": "zeroed-weights",
    "scaled": "scaled-weights",
    "transposed": "transposed-kernel",
    "relaid": "wrong-layout",
    "interleaved": "unpermuted-query-key",
    "halves": "wrong-order",
    "reordered": "wrong-order",
    "clipped": "clipped-weights",
    "rounded": "rounded-weights",
    "replaced": "stale-weights",
}
"""Kind of a change -> the word for it, where the constant's role makes no other of it."""


def wrong_constants(evidence: Evidence) -> Iterator[Suspicion]:
    """Return a suspicion for each constant whose change can be named."""
    sides = both(evidence)
    if sides is None or plain(sides[0].type) != plain(sides[1].type):
        return
    expected, found = sides
    if exchanged(expected, found) is not None:
        return
    other_weight = _reads_another(evidence, found)
    for place in constants_of(expected):
        right, other = given(expected, place), given(found, place)
        if right is None or other is None or role_of(evidence, expected, place).startswith(":"):
            continue
        if right.size == other.size and differ(right, other := other.reshape(right.shape)):
            if other_weight:
                says = f"{found.type} reads {name_of(found, place)} where {name_of(expected, place)} is right."
                yield Suspicion(cause="wrong-wiring", says=says, change=with_input(place, other))
            else:
                yield from _named(evidence, (expected, found), place, other)


def differ(right: Array, found: Array) -> bool:
    """Return whether a constant is another one than its storage explains."""
    return not close(right, found, tolerance_of(found))


def tolerance_of(found: Array) -> float:
    """Return by what share of the magnitude a stored constant may differ from the right one."""
    return STORED.get(found.dtype.itemsize, NARROW)


def word_of(evidence: Evidence, change: Change, role: str, right: Array, names: tuple[str, ...]) -> str | None:
    """Return the word for a change of a constant, by what it is for; None where there is none."""
    bias = is_bias(role, evidence.source, *names)
    if change.kind == "ones" or (change.kind == "zeroed" and bias):
        untrained = {"ones": "stale-weights" if role == "gamma" else None, "zeroed": "missing-bias"}
        return "untrained-ln-vision" if is_vision_norm(evidence, *names) else untrained[change.kind]
    if change.kind == "scaled" and bias and math.isclose(change.factor, 2, rel_tol=FACTOR):
        return "doubled-bias"
    if _turns(evidence, change, role, names):
        return "swapped-rotary-halves"
    if change.kind == "interleaved" and right.ndim != 2:
        return "wrong-order"
    return WORDS[change.kind]


def _turns(evidence: Evidence, change: Change, role: str, names: tuple[str, ...]) -> bool:
    """Return whether a change of a table, or of a query or key weight, is that of its halves."""
    if role == "table":
        return change.kind in {"halves", "interleaved"} or (change.kind == "scaled" and change.factor == -1)
    return change.kind == "halves" and is_query_key(evidence, *names)


def _named(evidence: Evidence, sides: tuple[Side, Side], place: int, other: Array) -> Iterator[Suspicion]:
    expected, found = sides
    right = given(expected, place)
    if right is None:
        return
    cause: str | None
    named, role = _named_as(evidence, found, place), role_of(evidence, expected, place)
    if right.size == 1:
        cause, says = _number(expected, role, (float(np.ravel(right)[0]), float(np.ravel(other)[0])))
    elif role == "mask" and np.isfinite(right).all() and not np.isfinite(other).all():
        cause, says = "mask-overflow", f"has {float(other.min()):.4g} where {float(right.min()):.4g} is right"
    elif role == "table" and (half := half_positions(right, other)):
        cause, says = "half-precision-positions", f"has the rows of positions rounded to {half}"
    elif is_turning(right) and is_turning(other):
        cause, says = "swapped-rotary-halves", "turns other pairs of channels, or turns them the other way"
    else:
        names = (*expected.names[place : place + 1], *found.names[place : place + 1])
        change = change_of(right, other, tolerance_of(other))
        if evidence.resembles and other.min() != other.max():
            change = Change(kind="replaced", says=f"holds the values of {evidence.resembles[0]!r}")
        cause = None if change is None else word_of(evidence, change, role, right, names)
        says = "" if change is None else change.says
    if cause is not None:
        yield Suspicion(cause=cause, says=f"{named} of {found.type} {says}.", change=with_input(place, other))


def _reads_another(evidence: Evidence, found: Side) -> bool:
    """Return whether the file reads another weight under that weight's own name: the wiring is wrong, no value."""
    names = [found.names[place] for place in constants_of(found) if place < len(found.names)]
    return any(is_named_after(name, one) for one in evidence.resembles for name in names)


def _number(side: Side, role: str, values: tuple[float, float]) -> tuple[str, str]:
    """Return the word for a number that is another one, and what to say."""
    right, other = values
    says = f"is {other:.7g} where {right:.7g} is right"
    if role == "epsilon":
        return "wrong-epsilon", f"(the epsilon) {says}"
    if role == "mask" and not math.isfinite(other):
        return "mask-overflow", f"(the mask minimum) {says}"
    if _is_count_less_one(side, right, other):
        return "biased-variance", f"(the count of a variance) {says}"
    if other == 0:
        return "zeroed-weights", says
    factor = other / right if right else math.inf
    return ("scaled-weights", f"{says}, {factor:.6g} times it") if math.isfinite(factor) else ("wrong-attribute", says)


def _is_count_less_one(side: Side, right: float, other: float) -> bool:
    """Return whether two divisors, or factors, are of n and of n - 1 values."""
    finite = math.isfinite(right) and math.isfinite(other)
    if any(value is not None and value.dtype.kind in "iu" for value in side.inputs):
        return False  # whole numbers count places, not values
    if not finite or right == 0 or other == 0 or plain(side.type) not in {"div", "realdiv", "mul"}:
        return False
    larger, smaller = sorted(map(abs, (right, other)), reverse=True)
    ratio = larger / smaller
    counts = {larger, 1 / smaller}
    whole = [
        count for count in counts if 2 <= count < LARGEST_COUNT and math.isclose(count, round(count), rel_tol=1e-5)
    ]
    return any(math.isclose(ratio, count / (count - 1), rel_tol=1e-6) for count in whole)


def _named_as(evidence: Evidence, found: Side, place: int) -> str:
    """Return what to call a constant: its name in the checkpoint and in the file."""
    own = name_of(found, place)
    return own if not evidence.source or evidence.source in own else f"{own} ('{evidence.source}')"
