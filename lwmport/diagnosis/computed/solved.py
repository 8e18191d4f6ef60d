"""Weights that are solved for: what a weight must be for the output that was observed, and what that one is."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from lwmport.diagnosis.changes import change_of
from lwmport.diagnosis.constants import word_of
from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.diagnosis.formulas.norms import NORMS
from lwmport.diagnosis.formulas.table import compute
from lwmport.diagnosis.reading import given, name_of, plain, setting, with_input
from lwmport.diagnosis.roles import constants_of, role_of
from lwmport.diagnosis.suspicion import Suspicion
from lwmport.types import Array

EXACT: Final = 1e-3
"""Share of a weight's magnitude to which it is known when it is solved for from float32 values."""

WIDEST: Final = 1024
"""Inputs of a kernel that is solved for; the time goes with the third power."""

ENOUGH: Final = 2
"""Rows for each input of a kernel, so that its being solvable is itself a proof."""

VECTORS: Final = frozenset({"bias", "beta", "gamma"})


def solved_weights(evidence: Evidence) -> Iterator[Suspicion]:
    """Return a suspicion for each weight that, as another one, explains what was observed."""
    side = evidence.expected
    if side is None or evidence.reference.shape != evidence.observed.shape or not np.isfinite(evidence.observed).all():
        return
    for place in constants_of(side):
        right, role = given(side, place), role_of(evidence, side, place)
        if right is None or right.size < 2 or right.dtype.kind != "f":
            continue
        found = None
        if role in VECTORS:
            found = _vector(evidence, side, place)
        elif role == "kernel" and right.ndim == 2 and plain(side.type) in {"matmul", "gemm", "fullyconnected"}:
            found = _kernel(evidence, side)
        if found is not None:
            yield from _named(evidence, side, place, _snapped(right, found.reshape(right.shape)))


def _named(evidence: Evidence, side: Side, place: int, found: Array) -> Iterator[Suspicion]:
    right = given(side, place)
    change = None if right is None else change_of(right, found.astype(np.float32), EXACT)
    if right is None or change is None or change.kind == "rounded":
        return
    word = word_of(evidence, change, role_of(evidence, side, place), right, side.names[place : place + 1])
    if word is not None:
        says = f"{name_of(side, place)} of {side.type}, solved for from the values, {change.says}."
        yield Suspicion(cause=word, says=says, change=with_input(place, found))


def _snapped(right: Array, found: Array) -> Array:
    """Return a solved weight with the values that are nearly right, or nearly zero, being that."""
    limit = EXACT * max(float(np.abs(right).max()), float(np.abs(found).max()))
    if (np.abs(found - 1) <= limit).all():
        return np.ones_like(found)
    near = np.where(np.abs(found - right) <= limit, right, found)
    return np.where(np.abs(near) <= limit, 0, near)


def _vector(evidence: Evidence, side: Side, place: int) -> Array | None:
    """Return the bias or gamma that fits each channel best."""
    right = given(side, place)
    axis = _channels(evidence, side, right)
    if right is None or axis is None:
        return None
    zero, one = (compute(with_input(place, np.full_like(right, value))(side)) for value in (0, 1))
    if zero is None or one is None or zero.shape != evidence.reference.shape:
        return None
    error = evidence.observed.astype(np.float64) - evidence.reference
    others = tuple(at for at in range(error.ndim) if at != axis)
    share = one - zero
    power = (share * share).sum(axis=others)
    return None if not power.all() else np.ravel(right) + (error * share).sum(axis=others) / power


def _channels(evidence: Evidence, side: Side, right: Array | None) -> int | None:
    """Return the axis of the output that a vector goes along, None if it has another size."""
    kind, shape = plain(side.type), evidence.reference.shape
    tall = kind == "conv" or (kind in NORMS and "layer" not in kind and "rms" not in kind)
    axis = 1 if tall else len(shape) - 1
    if right is None or len(shape) < 2 or shape[axis] != right.size:
        return None
    return axis


def _kernel(evidence: Evidence, side: Side) -> Array | None:
    """Return the kernel that gives the output, None where the rows are too few to say."""
    x, kernel, bias = given(side, 0), given(side, 1), given(side, 2)
    if x is None or kernel is None or setting(side, "transa", default=0) or setting(side, "alpha", default=1.0) != 1:
        return None
    turned = plain(side.type) == "fullyconnected" or bool(setting(side, "transb", default=0))
    width = kernel.shape[1] if turned else kernel.shape[0]
    rows = x.reshape(-1, width).astype(np.float64)
    if width > WIDEST or len(rows) < ENOUGH * width:
        return None
    values = evidence.observed.astype(np.float64) - (0 if bias is None else bias)
    found, _, rank, _ = np.linalg.lstsq(rows, values.reshape(len(rows), -1), rcond=None)
    return None if rank < width else (found.T if turned else found)
