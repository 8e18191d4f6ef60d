"""Weights that enter with another factor: none of a bias, twice, half of it."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from lwmport.diagnosis.changes import has_one_magnitude
from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.diagnosis.formulas.table import compute
from lwmport.diagnosis.reading import given, name_of, plain, with_input
from lwmport.diagnosis.roles import constants_of, is_bias, is_vision_norm, role_of
from lwmport.diagnosis.suspicion import Suspicion

SURE: Final = 0.02
"""How near a fitted factor is to 0 or 2 that is called that."""

WEIGHTS: Final = frozenset({"kernel", "bias", "gamma", "beta", "weight", "number"})


def other_amounts(evidence: Evidence) -> Iterator[Suspicion]:
    """Return a suspicion for each weight: that it is multiplied by what fits the error best."""
    expected = evidence.expected
    base = None if expected is None else compute(expected)
    if expected is None or base is None or not base.size == evidence.reference.size == evidence.observed.size:
        return
    error = evidence.observed.astype(np.float64).reshape(evidence.reference.shape) - evidence.reference
    for place in constants_of(expected):
        value = given(expected, place)
        role = role_of(evidence, expected, place)
        if role == "kernel" and plain(expected.type) == "gemm":
            continue  # alpha would give the same
        if value is None or role not in WEIGHTS or value.dtype.kind != "f" or not value.any():
            continue
        without = compute(with_input(place, np.zeros_like(value))(expected))
        if without is None or not np.isfinite(without).all():
            continue
        share = (base - without).reshape(error.shape)
        power = float((share * share).sum())
        if power and np.isfinite(error).all():
            yield from _named(evidence, expected, place, 1 + float((error * share).sum()) / power)


def _named(evidence: Evidence, side: Side, place: int, factor: float) -> Iterator[Suspicion]:
    role = role_of(evidence, side, place)
    name, bias = name_of(side, place), is_bias(role, evidence.source, *side.names[place : place + 1])
    cause, says = "scaled-weights", f"{name} of {side.type} enters {factor:.4g} times."
    if abs(factor) < SURE:
        cause = "missing-bias" if bias else "zeroed-weights"
        says, factor = f"{name} of {side.type} does not enter.", 0.0
    elif bias and abs(factor - 2) < SURE:
        cause, says, factor = "doubled-bias", f"{name} of {side.type} enters twice.", 2.0
    if cause == "missing-bias" and is_vision_norm(evidence, *side.names[place : place + 1]):
        cause = "untrained-ln-vision"
    value = given(side, place)
    clipped = value is not None and cause == "scaled-weights" and 0 < factor < 1 and has_one_magnitude(value)
    if value is not None and factor != 1 and not clipped:
        change = with_input(place, value.astype(np.float64) * factor)
        yield Suspicion(cause=cause, says=says, change=change, fitted=cause == "scaled-weights")
