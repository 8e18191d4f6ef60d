"""Mask minima that overflow: to infinity in half precision, or by being added twice."""

from collections.abc import Iterator

import numpy as np

from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.diagnosis.formulas.pointwise import softmax
from lwmport.diagnosis.reading import given, plain
from lwmport.diagnosis.roles import MASKING
from lwmport.diagnosis.suspicion import Suspicion
from lwmport.types import Array

LARGEST_HALF = 65504.0
"""The largest finite float16."""


def overflown_masks(evidence: Evidence) -> Iterator[Suspicion]:
    """Return the suspicion of hidden places that are infinite, and of rows of nothing else that are no number."""
    side = evidence.expected
    if side is None:
        return
    hidden = [one is not None and one.dtype.kind == "f" and bool((one <= -MASKING).any()) for one in side.inputs]
    if not any(hidden):
        return
    reference, observed = evidence.reference, evidence.observed
    if reference.shape != observed.shape:
        return
    lost = ~np.isfinite(observed) & np.isfinite(reference)
    if plain(side.type) == "softmax":
        x = given(side, 0)
        if x is not None and lost.any():
            says = f"Rows in which all is hidden are no number: {int(np.isnan(observed).sum())} NaN."
            yield Suspicion(cause="mask-overflow", says=says, predicted=lambda: _softmax(side, x))
    elif lost.any() and (reference[lost] <= -MASKING).all():
        right = float(reference[lost].min())
        says = f"{int(lost.sum())} hidden places are {observed[lost][0]} where {right:.4g} is right."
        yield Suspicion(cause="mask-overflow", says=says, predicted=lambda: np.where(lost, observed, reference))


def _softmax(side: Side, x: Array) -> Array:
    """Return the softmax where everything beyond float16 is minus infinity."""
    return softmax(side, np.where(x < -LARGEST_HALF, -np.inf, x.astype(np.float64)))
