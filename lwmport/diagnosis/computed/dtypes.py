"""Values that pass through a narrower dtype: inputs, outputs, positions, and sums on the way."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np

from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.diagnosis.formulas.linear import LINEAR, times
from lwmport.diagnosis.formulas.moves import dtype_asked
from lwmport.diagnosis.lighter import LARGE
from lwmport.diagnosis.reading import given, is_constant, name_of, plain, setting, with_input, with_inputs
from lwmport.diagnosis.rounded import ROUNDINGS
from lwmport.diagnosis.settings import holds_positions
from lwmport.diagnosis.suspicion import Suspicion
from lwmport.types import Array

CHUNKS: Final = (1, 4, 8, 16, 32, 64, 128)
"""Products that are summed exactly before the sum is rounded: the width of common units."""

ROWS: Final = 64
"""Rows that a sum on the way is tried on."""


def narrower_values(evidence: Evidence) -> Iterator[Suspicion]:
    """Return suspicions of inputs or outputs that are rounded to 16 bits."""
    side, reference = evidence.expected, evidence.reference
    for dtype, rounding in ROUNDINGS.items() if reference.dtype.itemsize > 2 else ():
        if side is not None:
            yield from _inputs(side, dtype)
        if reference.dtype.kind == "f":
            says = f"The output passes through {dtype}."
            yield Suspicion(cause="wrong-dtype", says=says, predicted=partial(rounding, reference))


def narrower_sums(evidence: Evidence) -> Iterator[Suspicion]:
    """Return suspicions of a product of matrices that is summed up in 16 bits, a few products at a time."""
    side = evidence.expected
    if side is None or plain(side.type) not in LINEAR or "conv" in plain(side.type):
        return
    x, kernel = given(side, 0), given(side, 1)
    if x is None or kernel is None or kernel.ndim != 2 or x.size // max(1, x.shape[-1]) > ROWS * 64:
        return
    turned = plain(side.type) == "fullyconnected" or setting(side, "transb", "transposeb", "adjy", default=0)
    kernel = kernel.T if turned else kernel
    bias = given(side, 2)
    for dtype in ROUNDINGS:
        for chunk in CHUNKS if kernel.size < LARGE else CHUNKS[3:]:
            says = f"{side.type} adds up in {dtype}, {chunk} products at a time."
            predicted = partial(_summed, (x, kernel, bias), dtype, chunk)
            yield Suspicion(cause="narrow-accumulator", says=says, predicted=predicted)


def _summed(operands: tuple[Array, Array, Array | None], dtype: str, step: int) -> Array:
    x, kernel, bias = operands
    flat = x.reshape(-1, x.shape[-1])
    total = np.zeros((len(flat), kernel.shape[1]))
    for at in range(0, kernel.shape[0], step):
        total = ROUNDINGS[dtype](total + times(flat[:, at : at + step], kernel[at : at + step]))
    found = total.reshape(*x.shape[:-1], -1)
    return found if bias is None else found + bias


def _inputs(side: Side, dtype: str) -> Iterator[Suspicion]:
    """Return suspicions of one input, or of all that are computed, or of really all, that are rounded."""
    if plain(side.type) == "cast":
        yield from _cast(side, dtype)
        return
    floats = [at for at, one in enumerate(side.inputs) if one is not None and one.dtype.kind == "f" and one.size > 1]
    for place in floats:
        value = given(side, place)
        if value is None or is_constant(side, place):
            continue
        says = f"{name_of(side, place)} of {side.type} passes through {dtype}."
        cause = "half-precision-positions" if holds_positions(value) else "wrong-dtype"
        yield Suspicion(cause=cause, says=says, change=with_input(place, ROUNDINGS[dtype](value)))
    if len(floats) > 1:
        everything = [
            ROUNDINGS[dtype](one) if one is not None and at in floats else one for at, one in enumerate(side.inputs)
        ]
        says = f"{side.type} computes with {dtype} inputs."
        yield Suspicion(cause="wrong-dtype", says=says, change=with_inputs(everything))


def _cast(side: Side, dtype: str) -> Iterator[Suspicion]:
    x = given(side, 0)
    if x is None or dtype_asked(side) in {dtype, "bool"} or x.dtype.kind not in "fiu":
        return
    cause = "half-precision-positions" if holds_positions(x) else "wrong-dtype"
    says = f"The values pass through {dtype} where {dtype_asked(side)} is right."
    yield Suspicion(cause=cause, says=says, predicted=lambda: ROUNDINGS[dtype](x))
