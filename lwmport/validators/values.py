"""Floating-point outputs: every error measure, in two passes over the tensors."""

import math
from dataclasses import dataclass

import numpy as np

from lwmport.types import Array, Tolerance
from lwmport.validators.differences import Difference, differences
from lwmport.validators.histogram import Counter
from lwmport.validators.metrics import Position, ValueMetrics

RELATIVE_FLOOR = 0.01
"""Relative errors divide by at least this part of the reference's root mean square."""


def value_metrics(reference: Array, candidate: Array, tolerance: Tolerance) -> ValueMetrics:
    """Return how far ``candidate`` is from ``reference``; the fields are defined at `ValueMetrics`.

    Args:
        reference: any shape, any floating-point dtype.
        candidate: the same shape; any floating-point dtype.
        tolerance: relative to the reference.
    """
    scale = _scale(reference)
    sums, places, counter = _Sums(), _Places(), Counter()
    for piece in differences(reference, candidate):
        sums.add(piece, tolerance, scale)
        places.add(piece, piece.error > piece.limit(tolerance))
        counter.add(piece.error)
    elements = max(reference.size, 1)
    return ValueMetrics(
        elements=reference.size,
        max_abs_error=sums.max_abs,
        mean_abs_error=sums.abs / elements,
        max_rel_error=sums.max_rel,
        mean_rel_error=sums.rel / elements,
        rmse=math.sqrt(sums.square / elements),
        cosine=sums.cosine(),
        sqnr_db=decibels(sums.reference_square, sums.square),
        reference_std=math.sqrt(sums.deviation / max(scale.count, 1)),
        reference_max_abs=scale.max_abs,
        tolerance_used=sums.used,
        out_of_tolerance=places.out,
        out_of_tolerance_fraction=places.out / elements,
        reference_nans=sums.reference_nans,
        candidate_nans=sums.candidate_nans,
        reference_infs=sums.reference_infs,
        candidate_infs=sums.candidate_infs,
        worst=_position(places.worst, reference, candidate),
        first_out=_position(places.first_out, reference, candidate),
        histogram=counter.result(),
    )


def sqnr_db(reference: Array, candidate: Array) -> float:
    """Return `ValueMetrics.sqnr_db` alone, of two tensors of finite numbers; infinite when they are equal."""
    signal = noise = 0.0
    for piece in differences(reference, candidate):
        signal += float(np.square(piece.reference).sum())
        noise += float(np.square(piece.error).sum())
    return decibels(signal, noise)


def decibels(signal: float, noise: float) -> float:
    """Return 10 log10(signal / noise) of two powers; infinite without noise, minus infinite without signal."""
    if noise == 0:
        return math.inf
    if signal == 0 or math.isinf(noise):
        return -math.inf
    return 10 * math.log10(signal / noise)


@dataclass(frozen=True, kw_only=True)
class _Scale:
    """First pass: the size of the finite reference values."""

    count: int
    mean: float
    rms: float
    max_abs: float


def _scale(reference: Array) -> _Scale:
    count, total, square, largest = 0, 0.0, 0.0, 0.0
    for piece in differences(reference, reference):
        values = piece.reference[piece.finite]
        count += values.size
        total += float(values.sum())
        square += float(values @ values)
        largest = max(largest, float(np.abs(values).max(initial=0.0)))
    elements = max(count, 1)
    return _Scale(count=count, mean=total / elements, rms=math.sqrt(square / elements), max_abs=largest)


@dataclass(kw_only=True)
class _Sums:
    """Second pass: sums and maxima over the pieces."""

    abs: float = 0.0
    square: float = 0.0
    rel: float = 0.0
    max_abs: float = 0.0
    max_rel: float = 0.0
    used: float = 0.0
    deviation: float = 0.0
    reference_square: float = 0.0
    candidate_square: float = 0.0
    growth: float = 0.0
    reference_nans: int = 0
    candidate_nans: int = 0
    reference_infs: int = 0
    candidate_infs: int = 0

    def add(self, piece: Difference, tolerance: Tolerance, scale: _Scale) -> None:
        error = piece.error
        relative = _quotient(error, np.maximum(np.abs(piece.reference), RELATIVE_FLOOR * scale.rms))
        self.abs += float(error.sum())
        self.square += float(np.square(error).sum())
        self.rel += float(relative.sum())
        self.max_abs = max(self.max_abs, float(error.max(initial=0.0)))
        self.max_rel = max(self.max_rel, float(relative.max(initial=0.0)))
        self.used = max(self.used, float(_quotient(error, piece.limit(tolerance)).max(initial=0.0)))
        self._add_powers(piece, scale)
        self._count_specials(piece)

    def _add_powers(self, piece: Difference, scale: _Scale) -> None:
        reference, candidate = piece.reference[piece.finite], piece.candidate[piece.finite]
        self.reference_square += float(reference @ reference)
        self.candidate_square += float(candidate @ candidate)
        self.growth += float((candidate - reference) @ (candidate + reference))
        self.deviation += float(np.square(piece.reference[np.isfinite(piece.reference)] - scale.mean).sum())

    def _count_specials(self, piece: Difference) -> None:
        self.reference_nans += int(np.isnan(piece.reference).sum())
        self.candidate_nans += int(np.isnan(piece.candidate).sum())
        self.reference_infs += int(np.isinf(piece.reference).sum())
        self.candidate_infs += int(np.isinf(piece.candidate).sum())

    def cosine(self) -> float:
        """Return the cosine from |c - r|^2 = (|c| - |r|)^2 + 2 |r| |c| (1 - cos), exact where r.c would round to 1."""
        if math.isinf(self.square):
            return math.nan
        lengths = math.sqrt(self.reference_square), math.sqrt(self.candidate_square)
        if 0.0 in lengths:
            return float(lengths[0] == lengths[1])
        longer = self.growth / sum(lengths)
        return 1.0 - max(self.square - longer**2, 0.0) / (2 * lengths[0] * lengths[1])


@dataclass(kw_only=True)
class _Places:
    """Second pass: flat positions."""

    worst: int | None = None
    worst_error: float = -1.0
    first_out: int | None = None
    out: int = 0

    def add(self, piece: Difference, out: Array) -> None:
        here = int(piece.error.argmax())
        if piece.error[here] > self.worst_error:
            self.worst, self.worst_error = piece.offset + here, float(piece.error[here])
        if self.first_out is None and out.any():
            self.first_out = piece.offset + int(out.argmax())
        self.out += int(out.sum())


def _quotient(error: Array, divisor: Array) -> Array:
    """Return error / divisor, with 0 / 0 = 0 and infinity for what cannot be compared."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        quotient = error / divisor
    quotient[error == 0] = 0.0
    quotient[np.isinf(error)] = np.inf
    return quotient


def _position(flat: int | None, reference: Array, candidate: Array) -> Position | None:
    if flat is None:
        return None
    index = tuple(int(axis) for axis in np.unravel_index(flat, reference.shape))
    return Position(index=index, reference=float(reference[index]), candidate=float(candidate[index]))
