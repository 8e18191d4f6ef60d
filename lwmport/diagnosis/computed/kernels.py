"""Weights whose values are in another order, turned over, or rounded."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import numpy as np

from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.diagnosis.formulas.rotary import is_rotary, tables_of
from lwmport.diagnosis.reading import given, name_of, with_input
from lwmport.diagnosis.roles import constants_of, is_query_key, is_turning, is_vision_norm, role_of
from lwmport.diagnosis.rounded import to_bfloat, to_half, to_steps
from lwmport.diagnosis.suspicion import Suspicion
from lwmport.types import Array

LARGEST: Final = 1 << 24
"""Elements of a weight that is made float64 as a whole."""

ROUNDED: Final = frozenset({"kernel", "gamma", "bias", "beta", "weight", "table"})

HEADS: Final = (8, 16, 32, 64, 80, 96, 128, 256)
"""Sizes of a head that are tried."""


def other_kernels(evidence: Evidence) -> Iterator[Suspicion]:
    """Return suspicions of kernels that are transposed, reversed, permuted or rounded."""
    expected = evidence.expected
    if expected is None:
        return
    for place in constants_of(expected):
        value, role = given(expected, place), role_of(evidence, expected, place)
        if value is None or value.dtype.kind != "f" or role not in ROUNDED:
            continue
        name = f"{name_of(expected, place)} of {expected.type}"
        if role == "kernel":
            yield from _turned(value, place, name)
            yield from _heads(evidence, expected, place, name)
        if value.size <= LARGEST and value.size > 1:
            yield from _rounded(value, place, name)
        if role == "gamma" and is_vision_norm(evidence, *expected.names[place : place + 1]):
            yield _untrained(expected, place, name)


def turned_tables(evidence: Evidence) -> Iterator[Suspicion]:
    """Return suspicions of a rotary embedding that pairs the channels of a head otherwise, or turns them back."""
    side = evidence.expected
    if side is None or not is_rotary(side):
        return
    _, cosines, sines = tables_of(side)
    sine, cosine = given(side, sines), given(side, cosines)
    if sine is not None and cosine is not None:
        yield Suspicion(
            cause="swapped-rotary-halves",
            says="The halves of each pair are turned the other way.",
            change=with_input(sines, -sine),
        )
        yield Suspicion(
            cause="swapped-inputs",
            says="Sines are read for cosines.",
            change=lambda right: with_input(sines, cosine)(with_input(cosines, sine)(right)),
        )


def _turned(value: Array, place: int, name: str) -> Iterator[Suspicion]:
    cause = "swapped-rotary-halves" if is_turning(value) else "transposed-kernel"
    for one in range(value.ndim):
        for other in range(one + 1, value.ndim):
            if value.shape[one] == value.shape[other] > 1:
                yield Suspicion(
                    cause=cause,
                    says=f"{name} enters with its axes {one} and {other} exchanged.",
                    change=with_input(place, value.swapaxes(one, other)),
                )
        if value.shape[one] > 1 and not is_turning(value):
            yield Suspicion(
                cause="wrong-order",
                says=f"{name} enters reversed along axis {one}.",
                change=with_input(place, np.flip(value, one)),
            )


def _heads(evidence: Evidence, side: Side, place: int, name: str) -> Iterator[Suspicion]:
    """Return suspicions of a query or key weight for the other convention of rotary embeddings."""
    value = given(side, place)
    if value is None or value.ndim != 2 or not is_query_key(evidence, *side.names[place : place + 1]):
        return
    for axis in range(2):
        for size in HEADS:
            if value.shape[axis] % size:
                continue
            rows = np.arange(value.shape[axis]).reshape(-1, size // 2, 2).reshape(-1, size)
            pairs = rows.reshape(-1, size // 2, 2).swapaxes(1, 2).ravel()
            for order in (pairs, np.argsort(pairs)):
                yield Suspicion(
                    cause="unpermuted-query-key",
                    says=f"{name} enters with the channels of heads of {size} in the other rotary order.",
                    change=with_input(place, np.take(value, order, axis)),
                )


def _rounded(value: Array, place: int, name: str) -> Iterator[Suspicion]:
    ways: dict[str, Callable[[Array], Array]] = {
        "float16": to_half,
        "bfloat16": to_bfloat,
        "8-bit integers": to_steps,
        "4-bit integers": partial(to_steps, bits=4),
    }
    for axis in (0, value.ndim - 1) if value.ndim > 1 else ():
        ways[f"8-bit integers with a scale for each slice of axis {axis}"] = partial(to_steps, axis=axis)
    for to, way in ways.items():
        values = way(value.astype(np.float64))
        if (values != value).any():
            says = f"{name} enters rounded to {to}."
            yield Suspicion(cause="rounded-weights", says=says, change=with_input(place, values))


def _untrained(side: Side, place: int, name: str) -> Suspicion:
    """Return the suspicion of a norm whose gamma is 1 and, behind it, whose beta is 0."""
    gamma, beta = given(side, place), given(side, place + 1)

    def change(right: Side) -> Side:
        ones = with_input(place, None if gamma is None else np.ones_like(gamma))(right)
        return ones if beta is None else with_input(place + 1, np.zeros_like(beta))(ones)

    return Suspicion(cause="untrained-ln-vision", says=f"{name} enters as 1, and beta as 0.", change=change)
