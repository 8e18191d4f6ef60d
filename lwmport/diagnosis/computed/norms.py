"""Norms with another epsilon, over another axis, or with the other variance."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np

from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.diagnosis.formulas.norms import NORMS, epsilon_of
from lwmport.diagnosis.formulas.table import compute
from lwmport.diagnosis.reading import given, plain, setting, with_setting, with_type
from lwmport.diagnosis.roles import role_of
from lwmport.diagnosis.suspicion import Suspicion

EPSILONS: Final = (0.0, 1e-12, 1e-8, 1e-7, 1e-6, 2e-6, 1e-5, 2e-5, 1e-4, 1e-3, 1e-2)
"""Epsilons that frameworks have, and twice some of them."""

ROUNDED_TYPES: Final = {
    "layernormalization": ("SimplifiedLayerNormalization", "no mean is taken off"),
    "simplifiedlayernormalization": ("LayerNormalization", "the mean is taken off"),
    "rmsnormalization": ("LayerNormalization", "the mean is taken off"),
}
"""A norm -> the norm that it is mistaken for, and what that does."""


def other_norms(evidence: Evidence) -> Iterator[Suspicion]:
    """Return suspicions of a norm's epsilon, axis, count and kind."""
    side = evidence.expected
    if side is None or plain(side.type) not in NORMS:
        return
    yield from _epsilons(evidence, side)
    x = given(side, 0)
    layered = "layer" in plain(side.type) or plain(side.type) == "rmsnormalization"
    if x is not None and layered and "skip" not in plain(side.type):
        right = int(setting(side, "axis", default=-1)) % x.ndim
        for axis in (axis for axis in range(x.ndim) if axis != right):
            says = f"The norm is over axis {axis} where {right} is right."
            yield Suspicion(cause="wrong-norm-axis", says=says, change=with_setting("axis", axis))
            yield Suspicion(cause="wrong-norm-axis", says=says, change=partial(_along, axis))
    yield _other_count(side)
    if plain(side.type) in ROUNDED_TYPES:
        other, does = ROUNDED_TYPES[plain(side.type)]
        yield Suspicion(
            cause="wrong-operator", says=f"{side.type} is computed as {other}: {does}.", change=with_type(other)
        )


def other_variances(evidence: Evidence) -> Iterator[Suspicion]:
    """Return suspicions of a mean or variance of other axes, or of the other variance."""
    side = evidence.expected
    if side is None or plain(side.type) != "variance":
        return
    yield _other_count(side)


def other_epsilons(evidence: Evidence) -> Iterator[Suspicion]:
    """Return the suspicion of another epsilon where it is a number that is added."""
    side = evidence.expected
    if side is None:
        return
    for place in range(len(side.inputs)):
        value = given(side, place)
        if (
            evidence.observed.shape != evidence.reference.shape
            or value is None
            or value.size != 1
            or role_of(evidence, side, place) != "epsilon"
        ):
            continue
        shift = np.median(evidence.observed.astype(np.float64) - evidence.reference)
        found = float(np.ravel(value)[0]) + float(shift)
        yield Suspicion(
            cause="wrong-epsilon",
            says=f"The epsilon is {found:.3g} where {float(np.ravel(value)[0]):.7g} is right.",
            predicted=partial(np.add, evidence.reference.astype(np.float64), shift),
        )


def _epsilons(evidence: Evidence, side: Side) -> Iterator[Suspicion]:
    right = epsilon_of(side)
    for found in dict.fromkeys((*EPSILONS, right * 2, right / 2, right * 10, right / 10, *_fitted(evidence, side))):
        if found != right and found >= 0:
            yield Suspicion(
                cause="wrong-epsilon",
                says=f"The epsilon of {side.type} is {found:.3g} where {right:.7g} is right.",
                change=with_setting("epsilon", found),
            )


def _fitted(evidence: Evidence, side: Side) -> Iterator[float]:
    """Return the epsilon that a step in its direction points to, found by the secant method."""
    reference, observed = (one.astype(np.float64) for one in (evidence.reference, evidence.observed))
    if reference.shape != observed.shape:
        return
    right = epsilon_of(side)
    at = right
    for _ in range(8):
        here, there = (compute(with_setting("epsilon", value)(side)) for value in (at, at * 1.01 + 1e-12))
        if here is None or there is None or here.size != reference.size:
            return
        slope = ((there - here) / (at * 0.01 + 1e-12)).reshape(reference.shape)
        power = float((slope * slope).sum())
        if not power or not np.isfinite(power):
            return
        step = float((slope * (observed - here.reshape(reference.shape))).sum()) / power
        at = max(at + step, at / 10)
    if np.isfinite(at) and 0 <= at < 1:
        yield at


def _along(axis: int, side: Side) -> Side:
    """Return a norm over one axis alone, whatever is behind it."""
    return with_setting("onlyaxis", value=True)(with_setting("axis", axis)(side))


def _other_count(side: Side) -> Suspicion:
    count = setting(side, "ddof", default=0)
    names = ("biased variance (over n values)", "unbiased variance (over n - 1 values)")
    found, right = names if count else names[::-1]
    says = f"{side.type} takes the {found} where the {right} is right."
    return Suspicion(cause="biased-variance", says=says, change=with_setting("ddof", 1 - count))
