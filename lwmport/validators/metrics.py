"""The records that say how far an output is from its reference; what `TensorDiff.metrics` holds, by kind.

`lwmport.validators.values`, `indices` and `quality` compute them, in float64 throughout.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Final

from lwmport.types import ADDED, Kind
from lwmport.validators.histogram import Histogram


@dataclass(frozen=True, kw_only=True)
class Position:
    """One element: its index, and both values there."""

    index: tuple[int, ...]
    reference: float
    candidate: float


@dataclass(frozen=True, kw_only=True)
class LanguageMetrics:
    """What logits have besides (`lwmport.validators.language`).

    Attributes:
        positions: how many were compared; padding does not count.
        top1_agreement: the share of them at which both choose the same token.
        mean_kl_nats: the mean of the KL divergences from the reference, nats; likewise ``max_kl_nats``, the largest.
        greedy_tokens: how many tokens of each text agree before the first that does not, over all texts.
        texts: how many texts there were.
    """

    positions: int
    top1_agreement: float
    mean_kl_nats: float
    max_kl_nats: float
    greedy_tokens: int
    texts: int


@dataclass(frozen=True, kw_only=True)
class ValueMetrics:
    """Numbers about a floating-point output; with d = candidate - reference, r = reference, c = candidate.

    An element with a NaN on either side, or with infinities that differ, has an infinite error, so a maximum or a
    mean that looks small is a promise about every element.

    Attributes:
        elements: how many were compared.
        max_abs_error: max |d|.
        mean_abs_error: mean |d|.
        max_rel_error: max |d| / max(|r|, floor) with floor = 1 % of the root mean square of r: nearer to zero
            a quotient by |r| measures how small r is, not how good the port is.
        mean_rel_error: the mean of the same quotient.
        rmse: sqrt(mean d^2).
        cosine: r.c / (|r| |c|) of the flattened tensors; 1 when both are zero, 0 when one is.
        sqnr_db: 10 log10(sum r^2 / sum d^2), decibels; infinite when equal.
        reference_std: population standard deviation of the finite r: the scale to read the errors by.
        reference_max_abs: max |r| of the finite r.
        tolerance_used: max |d| / (atol + rtol |r|); at most 1 when the output passes.
        out_of_tolerance: how many elements have |d| > atol + rtol |r|.
        out_of_tolerance_fraction: the same over ``elements``.
        reference_nans: NaNs in r; likewise the three after it.
        worst: where |d| is largest, the first in C order; None when nothing was compared.
        first_out: the first element out of tolerance in C order, if any.
        histogram: counts of |d|.
        language: what the logits choose, where they are logits.
    """

    elements: int
    max_abs_error: float
    mean_abs_error: float
    max_rel_error: float
    mean_rel_error: float
    rmse: float
    cosine: float
    sqnr_db: float
    reference_std: float
    reference_max_abs: float
    tolerance_used: float
    out_of_tolerance: int
    out_of_tolerance_fraction: float
    reference_nans: int
    candidate_nans: int
    reference_infs: int
    candidate_infs: int
    worst: Position | None
    first_out: Position | None
    histogram: Histogram
    language: LanguageMetrics | None = field(default=None, metadata=ADDED)


@dataclass(frozen=True, kw_only=True)
class PictureMetrics(ValueMetrics):
    """What a picture has besides: how alike the two look. One number a picture, in batch order.

    Attributes:
        data_range: largest minus smallest possible pixel; 2 for pixels in [-1, 1].
        psnr_db: 10 log10(data_range^2 / mean d^2), decibels; infinite when equal.
        ssim: structural similarity (Wang et al. 2004: Gaussian window of sigma 1.5, 11 pixels wide, population
            covariance, mean over channels) of pixels that count from 0; None for a picture smaller than the window or
            with a NaN.
        worst_psnr_db: the smallest of ``psnr_db``.
        worst_ssim: the smallest of ``ssim``; None when one of them is.
    """

    data_range: float
    psnr_db: tuple[float, ...]
    ssim: tuple[float | None, ...]
    worst_psnr_db: float
    worst_ssim: float | None


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """One integer that differs, and how near a tie it was, as `lwmport.validators.ties` measures it."""

    index: tuple[int, ...]
    reference: int
    candidate: int
    tie_distance: float | None


@dataclass(frozen=True, kw_only=True)
class IndexMetrics:
    """Numbers about an integer output.

    Attributes:
        elements: how many were compared.
        mismatches: how many differ; one that is no near tie is too many.
        near_ties: how many of them are near ties that are allowed.
        mismatch_rate: the same over ``elements``.
        distinct_reference: different values in the reference; a comparison of one repeated code shows little.
        listed: the first mismatches in C order, at most `lwmport.validators.indices.LISTED`.
        largest_tie_distance: the largest of all mismatches; None without any, or where it is not known.
    """

    elements: int
    mismatches: int
    near_ties: int
    mismatch_rate: float
    distinct_reference: int
    listed: tuple[Mismatch, ...]
    largest_tie_distance: float | None


Metrics = ValueMetrics | PictureMetrics | IndexMetrics

RECORDS: Final[Mapping[Kind, type[Metrics]]] = MappingProxyType(
    {Kind.VALUES: ValueMetrics, Kind.PICTURE: PictureMetrics, Kind.INDICES: IndexMetrics}
)


def as_mapping(metrics: Metrics) -> dict[str, Any]:
    """Return the metrics as plain values by name, as `TensorDiff.metrics` holds them."""
    return asdict(metrics)
