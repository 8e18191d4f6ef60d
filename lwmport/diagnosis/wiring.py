"""Operators and what they read: another operator, inputs exchanged, left out, or of another tensor."""

import itertools
from collections.abc import Iterator
from typing import Final

import numpy as np

from lwmport.diagnosis.blockwise import close
from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.diagnosis.formulas.pointwise import COMMUTE
from lwmport.diagnosis.formulas.table import FORMULAS
from lwmport.diagnosis.reading import REGION, given, is_constant, name_of, plain, with_input, with_inputs, with_type
from lwmport.diagnosis.roles import around, is_bias, role_of
from lwmport.diagnosis.rounded import ROUNDINGS
from lwmport.diagnosis.settings import holds_positions
from lwmport.diagnosis.suspicion import Suspicion, both
from lwmport.types import Array

MOST: Final = 6
"""Inputs of an operator whose orders are all tried."""

JOINS: Final = frozenset({"concat", "concatenation", "concatv2", "pack"})
GELUS: Final = frozenset({"gelu", "erf"})
TANHS: Final = frozenset({"fastgelu"})


def wrong_wiring(evidence: Evidence) -> Iterator[Suspicion]:
    """Return a suspicion for inputs that are exchanged, missing, or other tensors."""
    sides = both(evidence)
    if sides is None:
        return
    expected, found = sides
    order = exchanged(expected, found)
    if order is not None:
        if plain(expected.type) not in COMMUTE:
            names = " and ".join(name_of(found, at) for at, one in enumerate(order) if at != one)
            cause = "swapped-inputs"
            if plain(expected.type) in JOINS:
                cause = "swapped-rotary-halves" if {"neg", "concat"} <= around(evidence) else "wrong-order"
            says = f"{found.type} reads {names} in the other order."
            yield Suspicion(cause=cause, says=says, change=with_inputs(found.inputs))
        return
    yield from _missing(evidence, expected, found)
    if plain(expected.type) == plain(found.type):
        for place in range(min(len(expected.inputs), len(found.inputs))):
            yield from _other_tensor(expected, found, place)


def wrong_operator(evidence: Evidence) -> Iterator[Suspicion]:
    """Return a suspicion if the file has another operator on the same inputs."""
    sides = both(evidence)
    if sides is None or plain(sides[0].type) == plain(sides[1].type):
        return
    expected, found = sides
    if REGION in {plain(expected.type), plain(found.type)} or not _same_inputs(expected, found):
        return
    tanh = plain(expected.type) in GELUS and plain(found.type) in TANHS
    known = plain(found.type) in FORMULAS
    yield Suspicion(
        cause="tanh-gelu" if tanh else "wrong-operator",
        says=f"The file has {found.type} where {expected.type} is right.",
        change=with_type(found.type) if known else None,
    )


def exchanged(expected: Side, found: Side) -> tuple[int, ...] | None:
    """Return the order of the right inputs in which those found are, None if they are others or in place."""
    count = len(expected.inputs)
    if count != len(found.inputs) or not 2 <= count <= MOST or any(one is None for one in expected.inputs):
        return None
    same = {(at, one) for at in range(count) for one in range(count) if _same(expected, found, one, at)}
    replaced = [
        at for at in range(count) if is_constant(expected, at) and not any((at, one) in same for one in range(count))
    ]
    same |= {(at, at) for at in replaced}
    if all((at, at) in same for at in range(count)):
        return None
    orders = itertools.permutations(range(count))
    return next((order for order in orders if all((at, one) in same for at, one in enumerate(order))), None)


def _same(expected: Side, found: Side, one: int, other: int) -> bool:
    """Return whether an input on one side is an input on the other: by its value, a constant by its place too."""
    a, b = given(expected, one), given(found, other)
    if a is None or b is None:
        return a is b
    if is_constant(expected, one) != is_constant(found, other):
        return False
    return a is b or (a.shape == b.shape and close(a, b, 1e-6))


def _same_inputs(expected: Side, found: Side) -> bool:
    count = len(expected.inputs)
    return count == len(found.inputs) and all(
        _same(expected, found, at, at) or (is_constant(expected, at) and is_constant(found, at)) for at in range(count)
    )


def _missing(evidence: Evidence, expected: Side, found: Side) -> Iterator[Suspicion]:
    """Return a suspicion if the file leaves out a bias that is right."""
    if plain(expected.type) != plain(found.type):
        return
    for place in range(1, len(expected.inputs)):
        role = role_of(evidence, expected, place)
        left_out = given(found, place) is None and not (place < len(found.names) and found.names[place])
        if given(expected, place) is not None and left_out and is_bias(role):
            yield Suspicion(
                cause="missing-bias",
                says=f"{found.type} has no bias where {name_of(expected, place)} is right.",
                change=with_input(place, None),
            )


def _other_tensor(expected: Side, found: Side, place: int) -> Iterator[Suspicion]:
    """Return a suspicion if an input that is computed is another tensor, or the right one rounded."""
    right, other = given(expected, place), given(found, place)
    held = is_constant(expected, place) or is_constant(found, place)
    if right is None or other is None or held or name_of(expected, place) == name_of(found, place):
        return
    if right.shape != other.shape or not right.size:
        return
    rounded = _rounding(right, other)
    if rounded:
        cause = "half-precision-positions" if holds_positions(right) else "wrong-dtype"
        says = f"{name_of(expected, place)} passes through {rounded} in front of {found.type}."
        yield Suspicion(cause=cause, says=says, change=with_input(place, other))
    elif not np.array_equal(right, other, equal_nan=right.dtype.kind == "f"):
        says = f"{found.type} reads {name_of(found, place)} where {name_of(expected, place)} is right."
        yield Suspicion(cause="wrong-wiring", says=says, change=with_input(place, other))


def _rounding(right: Array, other: Array) -> str:
    """Return the dtype that an input is rounded to on its way, ``""`` if it is not."""
    names = (name for name, rounding in ROUNDINGS.items() if close(rounding(right), other, 1e-6))
    return next(names, "") if right.dtype.kind in "fiu" and not close(right, other, 1e-6) else ""
