"""What the templates show of each output: rows of label, value and remark, made from its metrics."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lwmport.reports import numbers
from lwmport.reports.chart import Chart, chart
from lwmport.types import Kind, NearTies, Status, TensorDiff
from lwmport.validators.histogram import Histogram
from lwmport.validators.ties import most

MOST_DECIBELS: Final = 120
"""The SQNR of a full bar: float32 itself is hardly nearer to another order of its sums."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One number, ready to read."""

    label: str
    value: str
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class Headline:
    """The one number of an output that decides. ``used`` is 0 to 1, the filled part of its meter."""

    label: str
    value: str
    remark: str
    used: float


def headline(diff: TensorDiff) -> Headline:
    """Return the number that decides on an output."""
    metrics = diff.metrics
    if not metrics:
        return Headline(label="Not compared", value="–", remark=diff.reason, used=float(diff.status is Status.FAILED))
    if diff.kind is Kind.INDICES:
        value = f"{numbers.count(metrics['mismatches'])} of {numbers.count(metrics['elements'])}"
        wrong = metrics["mismatches"] > metrics["near_ties"]
        return Headline(label="Mismatches", value=value, remark=_ties(diff), used=float(wrong))
    used = metrics["tolerance_used"]
    value = numbers.number(metrics["max_abs_error"])
    return Headline(label="Largest error", value=value, remark=_allowed(diff), used=min(max(used, 0.0), 1.0))


def rows(diff: TensorDiff) -> list[Row]:
    """Return every number of an output in reading order."""
    if not diff.metrics:
        return []
    if diff.kind is Kind.INDICES:
        return _index_rows(diff)
    picture = _picture_rows(diff.metrics) if diff.kind is Kind.PICTURE else []
    return [*_error_rows(diff), *picture, *_scale_rows(diff.metrics), *_place_rows(diff.metrics)]


def histogram(diff: TensorDiff) -> Chart | None:
    """Return the drawn error histogram; integers have none."""
    if "histogram" not in diff.metrics:
        return None
    return chart(Histogram(**diff.metrics["histogram"]), diff.tolerance)


def likenesses(diff: TensorDiff) -> list[tuple[float, float | None]]:
    """Return PSNR and SSIM of every picture of an output, in batch order."""
    return list(zip(diff.metrics.get("psnr_db", ()), diff.metrics.get("ssim", ()), strict=False))


def filled(sqnr_db: float) -> float:
    """Return how much of a bar an SQNR fills, 0 to 1."""
    return min(max(sqnr_db / MOST_DECIBELS, 0.0), 1.0)


def allowed(diff: TensorDiff) -> str:
    """Return the tolerance in one phrase."""
    tolerance = diff.tolerance
    if tolerance.atol == 0 and tolerance.rtol == 0:
        return "exact" if tolerance.near_ties is None else f"exact but for near ties, {_near(tolerance.near_ties)}"
    relative = f" + {numbers.number(tolerance.rtol)} · |reference|" if tolerance.rtol else ""
    whole = f", SQNR ≥ {tolerance.min_sqnr_db:g} dB" if tolerance.min_sqnr_db is not None else ""
    return f"{numbers.number(tolerance.atol)}{relative}{whole}"


def _near(allowed: NearTies) -> str:
    return f"at a distance ≤ {allowed.distance:g}, at most {numbers.percent(allowed.share)}"


def _ties(diff: TensorDiff) -> str:
    """Return how many mismatches are allowed."""
    allowed, metrics = diff.tolerance.near_ties, diff.metrics
    if allowed is None:
        return "none allowed"
    return f"near ties: {numbers.count(metrics['near_ties'])}, {most(allowed, metrics['elements'])} allowed"


def _allowed(diff: TensorDiff) -> str:
    used = diff.metrics["tolerance_used"]
    if not math.isfinite(used):
        return "beyond any tolerance"
    return f"{numbers.share(used)} {_of(diff)}"


def _of(diff: TensorDiff) -> str:
    """Return what a share is a share of: "46 % of the 1e-4 allowed", but "12 × the 1e-4 allowed"."""
    words = f"the {allowed(diff)} allowed"
    return f"of {words}" if numbers.share(diff.metrics["tolerance_used"]).endswith("%") else words


def _error_rows(diff: TensorDiff) -> list[Row]:
    metrics = diff.metrics
    out = f"{numbers.count(metrics['out_of_tolerance'])} of {numbers.count(metrics['elements'])}"
    return [
        Row(label="Largest error", value=numbers.number(metrics["max_abs_error"]), remark=_steps(diff)),
        Row(label="Tolerance used", value=numbers.share(metrics["tolerance_used"]), remark=_of(diff)),
        Row(label="Out of tolerance", value=out, remark=_fraction(metrics["out_of_tolerance_fraction"])),
        Row(label="Mean error", value=numbers.number(metrics["mean_abs_error"])),
        Row(label="RMSE", value=numbers.number(metrics["rmse"])),
        Row(
            label="Relative error",
            value=numbers.number(metrics["max_rel_error"]),
            remark=f"largest; mean {numbers.number(metrics['mean_rel_error'])}",
        ),
        Row(label="Cosine", value=numbers.near_one(metrics["cosine"])),
        Row(label="SQNR", value=numbers.decibels(metrics["sqnr_db"])),
    ]


def _steps(diff: TensorDiff) -> str:
    """Return a picture's largest error in the steps of the 8-bit picture that people will see."""
    if diff.kind is not Kind.PICTURE or not diff.metrics["data_range"] > 0 or math.isinf(diff.metrics["max_abs_error"]):
        return ""
    steps = diff.metrics["max_abs_error"] * 255 / diff.metrics["data_range"]
    return f"{numbers.number(steps)} of one 8-bit step"


def _fraction(value: float) -> str:
    return numbers.percent(value) if value else ""


def _picture_rows(metrics: Mapping[str, Any]) -> list[Row]:
    pictures = len(metrics["psnr_db"])
    among = f"worst of {pictures} pictures" if pictures > 1 else ""
    similarity = metrics["worst_ssim"]
    return [
        Row(label="PSNR", value=numbers.decibels(metrics["worst_psnr_db"]), remark=among),
        Row(label="SSIM", value="–" if similarity is None else numbers.near_one(similarity), remark=among),
    ]


def _scale_rows(metrics: Mapping[str, Any]) -> list[Row]:
    nans = f"{numbers.count(metrics['candidate_nans'])} NaN, {numbers.count(metrics['candidate_infs'])} infinite"
    other = f"reference: {numbers.count(metrics['reference_nans'])}, {numbers.count(metrics['reference_infs'])}"
    return [
        Row(
            label="Reference spread",
            value=numbers.number(metrics["reference_std"]),
            remark=f"standard deviation; largest |r| {numbers.number(metrics['reference_max_abs'])}",
        ),
        Row(label="Not finite", value=nans, remark=other),
    ]


def _place_rows(metrics: Mapping[str, Any]) -> list[Row]:
    places = {"Worst place": metrics["worst"], "First out of tolerance": metrics["first_out"]}
    return [
        Row(
            label=label,
            value=numbers.position(place["index"]),
            remark=f"reference {numbers.precise(place['reference'])}, candidate {numbers.precise(place['candidate'])}",
        )
        for label, place in places.items()
        if place is not None
    ]


def _index_rows(diff: TensorDiff) -> list[Row]:
    metrics = diff.metrics
    wrong = f"{numbers.count(metrics['mismatches'])} of {numbers.count(metrics['elements'])}"
    found = [
        Row(label="Mismatches", value=wrong, remark=numbers.percent(metrics["mismatch_rate"])),
        Row(
            label="Distinct values",
            value=numbers.count(metrics["distinct_reference"]),
            remark="in the reference: more of them make a stronger test",
        ),
    ]
    if diff.tolerance.near_ties is not None:
        found.append(Row(label="Near ties", value=numbers.count(metrics["near_ties"]), remark=allowed(diff)))
    if metrics["largest_tie_distance"] is not None:
        found.append(
            Row(label="Tie distance", value=numbers.number(metrics["largest_tie_distance"]), remark="largest of all")
        )
    return found
