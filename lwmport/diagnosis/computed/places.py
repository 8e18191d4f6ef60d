"""Places that are looked up: positions rounded to half precision, and codes that are nearly as near."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from lwmport.diagnosis.evidence import Evidence
from lwmport.diagnosis.formulas.rotary import is_rotary, tables_of
from lwmport.diagnosis.reading import given, plain, setting, with_input
from lwmport.diagnosis.rounded import ROUNDINGS
from lwmport.diagnosis.suspicion import Suspicion
from lwmport.types import Array

TIE: Final = 8.0
"""Roundings that two distances may be apart by and still tie: each is a sum of several rounded values."""


def rounded_positions(evidence: Evidence) -> Iterator[Suspicion]:
    """Return suspicions of rows that are looked up at positions rounded to 16 bits."""
    side = evidence.expected
    if side is None or not (is_rotary(side) or plain(side.type).startswith("gather")):
        return
    place, table, _ = tables_of(side) if is_rotary(side) else (1, 0, 0)
    places, rows = given(side, place), given(side, table)
    if places is None or rows is None or places.dtype.kind not in "iu":
        return
    for dtype, rounding in ROUNDINGS.items():
        found = np.clip(rounding(places), 0, len(rows) - 1).astype(np.int64)
        if (found != places).any():
            says = f"Positions up to {int(places.max())} are rounded to {dtype}, which has them exactly up to "
            says += f"{2048 if dtype == 'float16' else 256}."
            yield Suspicion(cause="half-precision-positions", says=says, change=with_input(place, found))


def near_ties(evidence: Evidence) -> Iterator[Suspicion]:
    """Return the suspicion of another place whose value is the same up to rounding."""
    side, observed = evidence.expected, evidence.observed
    x = None if side is None else given(side, 0)
    if side is None or x is None or plain(side.type) not in {"argmin", "argmax"} or observed.dtype.kind not in "iu":
        return
    if observed.shape != evidence.reference.shape:
        return
    axis_input = given(side, 1)
    axis = setting(side, "axis", "dimension", default=0) if axis_input is None else np.ravel(axis_input)[0]
    apart = _apart(x, evidence.reference, observed, int(axis))
    if apart is None:
        return
    limit = TIE * max(evidence.rounding, float(np.finfo(np.float32).eps)) * float(np.abs(x).max())
    if apart.max() <= limit:
        count = int((evidence.reference != observed).sum())
        says = f"{count} places differ by a value of at most {apart.max():.3g}, which rounding explains."
        yield Suspicion(cause="argmin-near-tie", says=says, predicted=lambda: observed.astype(np.float64))


def _apart(x: Array, reference: Array, observed: Array, axis: int) -> Array | None:
    """Return how far the values at two places are apart, None where a place is outside."""
    places = [np.reshape(one, np.delete(x.shape, axis % x.ndim)) for one in (reference, observed)]
    if any((one < 0).any() or (one >= x.shape[axis]).any() for one in places):
        return None
    right, found = (
        np.take_along_axis(x, np.expand_dims(one, axis).astype(np.int64), axis).astype(np.float64) for one in places
    )
    return np.abs(right - found)
