"""How far one tensor is from the reference's, and where the worst places are."""

import math
from typing import Final

import numpy as np

from lwmport.reports.bisection import Measured
from lwmport.types import Array, Status, TensorDiff
from lwmport.validators.differences import differences

EQUAL: Final = Measured(max_abs=0.0, relative=0.0, sqnr_db=math.inf, cosine=1.0)
"""What two tensors without a difference give."""

LOST: Final = Measured(max_abs=math.inf, relative=math.inf, sqnr_db=-math.inf, cosine=0.0)
"""What a tensor gives that has another shape, or that was not computed."""

CELLS: Final = 64
"""Rows and columns that a heat map has at most."""

WORST: Final = 8


def measured(reference: Array, found: Array) -> Measured:
    """Return how far ``found`` is from ``reference``; both of any dtype of numbers.

    Where only one of them is finite the difference is infinite. Tensors of another shape are `LOST`.
    """
    if reference.shape != found.shape:
        return LOST
    largest = scale = signal = noise = product = power = 0.0
    for piece in differences(reference, found):
        both = piece.finite
        one, other = piece.reference[both], piece.candidate[both]
        largest = max(largest, float(piece.error.max(initial=0.0)))
        scale = max(scale, float(np.abs(one).max(initial=0.0)))
        signal += float(np.square(one).sum())
        power += float(np.square(other).sum())
        product += float((one * other).sum())
        noise += float(np.square(piece.error).sum())
    if largest == 0.0:
        return EQUAL
    return Measured(
        max_abs=largest,
        relative=largest / scale if scale else math.inf,
        sqnr_db=_decibels(signal, noise),
        cosine=product / math.sqrt(signal * power) if signal and power else 0.0,
    )


def measured_of(diff: TensorDiff) -> Measured:
    """Return how far an output is, out of its verdict; of indices, how many differ."""
    facts = diff.metrics
    scale = facts.get("reference_max_abs", 0.0)
    largest = facts.get("max_abs_error", 0.0 if diff.status is Status.PASSED else math.inf)
    return Measured(
        max_abs=largest,
        relative=largest / scale if scale else largest,
        sqnr_db=facts.get("sqnr_db", math.inf if diff.status is Status.PASSED else -math.inf),
        cosine=facts.get("cosine", 1.0 if diff.status is Status.PASSED else 0.0),
    )


def heat_of(reference: Array, found: Array) -> tuple[tuple[tuple[float, ...], ...], str]:
    """Return the absolute difference in two axes, each cell the largest of those in it, and which axes these are.

    The last axis lies across and all others down; of a picture (4 axes) the two longest of the last three.
    """
    error = np.abs(found.astype(np.float64) - reference.astype(np.float64))
    if error.ndim == 0 or not error.size:
        return (), ""
    down, across = _axes(error.shape)
    rest = tuple(axis for axis in range(error.ndim) if axis not in {down, across})
    plane = error.max(axis=rest) if rest else error
    plane = plane[None] if plane.ndim == 1 else plane
    words = f"axis {down} down, axis {across} across" if error.ndim > 1 else "axis 0 across"
    return tuple(map(tuple, _shrunk(plane).tolist())), words


def worst_of(reference: Array, found: Array) -> tuple[tuple[tuple[int, ...], float, float], ...]:
    """Return the worst places: index, value of the reference, value found."""
    with np.errstate(invalid="ignore"):
        error = np.abs(found.astype(np.float64) - reference.astype(np.float64)).reshape(-1)
    error[~np.isfinite(error)] = np.inf
    count = min(WORST, error.size)
    places = np.argpartition(error, -count)[-count:] if count else np.empty(0, np.int64)
    places = places[np.argsort(-error[places], kind="stable")]
    return tuple(_place(reference, found, int(place)) for place in places if error[place])


def _place(reference: Array, found: Array, place: int) -> tuple[tuple[int, ...], float, float]:
    index = np.unravel_index(place, reference.shape)
    return tuple(map(int, index)), float(reference.flat[place]), float(found.flat[place])


def _axes(shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) < 3:
        return 0, len(shape) - 1
    longest = sorted(range(1, len(shape)), key=lambda axis: (-shape[axis], axis))[:2]
    return min(longest), max(longest)


def _shrunk(plane: Array) -> Array:
    for axis in (0, 1):
        parts = np.array_split(plane, min(CELLS, plane.shape[axis]), axis)
        plane = np.concatenate([part.max(axis=axis, keepdims=True) for part in parts], axis)
    return plane


def _decibels(signal: float, noise: float) -> float:
    if not math.isfinite(noise):
        return -math.inf
    return 10 * math.log10(signal / noise) if signal and noise else (-math.inf if noise else math.inf)
