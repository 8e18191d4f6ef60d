"""Every output of a component against its reference, and the verdict on the whole.

What differs is a result, never an exception: a missing, extra or renamed output, a wrong shape or dtype, a NaN.
"""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lwmport.types import Array, Kind, Quantized, Status, TensorDiff, TensorSpec, Tolerance, Tolerances, Validation
from lwmport.validators.indices import index_metrics
from lwmport.validators.language import language_metrics, language_words
from lwmport.validators.metrics import IndexMetrics, Metrics, ValueMetrics, as_mapping
from lwmport.validators.promise import fits
from lwmport.validators.quality import picture_metrics
from lwmport.validators.ties import followed, most, near_ties
from lwmport.validators.tolerances import is_exact, tolerance_for
from lwmport.validators.values import value_metrics
from lwmport.wording import few

NOTHING_QUANTIZED: Final[Mapping[str, Quantized]] = MappingProxyType({})
NO_TIMINGS: Final[Mapping[str, float]] = MappingProxyType({})
UNEXPECTED: Final = Tolerance(atol=0.0, rtol=0.0, why="The signature has no such output: nothing to compare it with.")


@dataclass(frozen=True)
class _Ties:
    """What indices were made of, and where a difference is a near tie that is allowed, as far as both are known."""

    quantized: Quantized | None = None
    near: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class _Meaning:
    """What an output is beside its numbers."""

    ties: _Ties
    logits: bool


def compare_outputs(  # noqa: PLR0913 - keywords, most with a default
    rows: Tolerances,
    outputs: tuple[TensorSpec, ...],
    reference: Mapping[str, Array],
    candidate: Mapping[str, Array],
    *,
    precision: str = "float32",
    quantized: Mapping[str, Quantized] = NOTHING_QUANTIZED,
    logits: Collection[str] = (),
) -> tuple[TensorDiff, ...]:
    """Return one `TensorDiff` for each output of the signature, and one for each output that it does not have.

    Args:
        rows: the tolerances of the model's family.
        outputs: the signature's outputs; a named dimension may have any size, the same on both sides.
        reference: JAX's outputs by name.
        candidate: the artifact's outputs by name.
        precision: what the artifact computes in.
        quantized: by output of indices, what they were made of. Where the tolerance admits near ties, the states are
            expected to be those of the code that the candidate chose.
        logits: the outputs that are logits, which are also judged by what they choose. It decides nothing.
    """
    extra = [name for name in candidate if name not in {spec.name for spec in outputs}]
    ties = {spec.name: _Ties(quantized.get(spec.name)) for spec in outputs}
    expected = dict(reference)
    for spec in outputs:
        allowed, made_of = tolerance_for(rows, spec, precision).near_ties, quantized.get(spec.name)
        if allowed is None or made_of is None or structure(spec, reference, candidate):
            continue
        near = near_ties(reference[spec.name], candidate[spec.name], made_of, allowed)
        ties[spec.name] = _Ties(made_of, near)
        expected[made_of.states] = followed(reference[made_of.states], candidate[spec.name], made_of, near)
    diffs = [
        _compare(
            spec,
            tolerance_for(rows, spec, precision),
            expected,
            candidate,
            _Meaning(ties=ties[spec.name], logits=spec.name in logits),
        )
        for spec in outputs
    ]
    return (*diffs, *(_unexpected(name, outputs) for name in extra))


def verdict(  # noqa: PLR0913 - keywords, one a field of the record
    *,
    component: str,
    artifact: str,
    reference: str,
    runner: str,
    inputs: str,
    diffs: tuple[TensorDiff, ...],
    timings: Mapping[str, float] = NO_TIMINGS,
) -> Validation:
    """Return the verdict on one artifact: passed only when there are outputs and every one of them passed."""
    status, reason = summarise(diffs)
    return Validation(
        component=component,
        artifact=artifact,
        status=status,
        reason=reason,
        reference=reference,
        runner=runner,
        inputs=inputs,
        diffs=diffs,
        timings=dict(timings),
    )


def not_judged(  # noqa: PLR0913 - keywords, one a field of the record
    *,
    component: str,
    artifact: str,
    reference: str,
    runner: str,
    inputs: str,
    reason: str,
    diffs: tuple[TensorDiff, ...] = (),
    timings: Mapping[str, float] = NO_TIMINGS,
) -> Validation:
    """Return the verdict on an artifact that did not run to its end; ``reason`` says why.

    ``diffs`` are the outputs of what did run. One of them that failed is a failure all the same.
    """
    failed = any(diff.status is Status.FAILED for diff in diffs)
    return Validation(
        component=component,
        artifact=artifact,
        status=Status.FAILED if failed else Status.NOT_JUDGED,
        reason=f"{summarise(diffs)[1]}; {reason}" if failed else reason,
        reference=reference,
        runner=runner,
        inputs=inputs,
        diffs=diffs,
        timings=dict(timings),
    )


def summarise(diffs: tuple[TensorDiff, ...]) -> tuple[Status, str]:
    """Return the verdict on a set of outputs and one sentence: one failure fails it, an empty set is not judged."""
    if not diffs:
        return Status.NOT_JUDGED, "there was no output to compare"
    for status in (Status.FAILED, Status.NOT_JUDGED):
        found = [diff for diff in diffs if diff.status is status]
        if found:
            return status, "; ".join(f"{diff.name}: {diff.reason}" for diff in found)
    return Status.PASSED, f"{len(diffs)} of {len(diffs)} outputs within tolerance"


def _compare(
    spec: TensorSpec,
    tolerance: Tolerance,
    reference: Mapping[str, Array],
    candidate: Mapping[str, Array],
    meaning: _Meaning,
) -> TensorDiff:
    reason = structure(spec, reference, candidate)
    if reason:
        return _diff(spec, Status.FAILED, reason, tolerance)
    metrics = _measure(spec, tolerance, reference[spec.name], candidate[spec.name], meaning.ties)
    failure = _failure(metrics, tolerance)
    reason = failure or _success(metrics)
    if meaning.logits and isinstance(metrics, ValueMetrics):
        language = language_metrics(reference[spec.name], candidate[spec.name])
        metrics = replace(metrics, language=language)
        reason += f"; {language_words(language)}" if language else ""
    return _diff(spec, Status.FAILED if failure else Status.PASSED, reason, tolerance, metrics)


def structure(spec: TensorSpec, reference: Mapping[str, Array], candidate: Mapping[str, Array]) -> str:
    """Return why two outputs cannot be compared element by element, or nothing."""
    for side, arrays in (("reference", reference), ("candidate", candidate)):
        if spec.name not in arrays:
            return f"missing: expected {spec.name!r}, the {side} has {_listing(arrays)}{_near(spec.name, arrays)}"
        array = arrays[spec.name]
        if array.dtype.name != spec.dtype:
            return f"dtype: expected {spec.dtype}, the {side} has {array.dtype.name}"
        if not fits(spec.shape, array.shape):
            return f"shape: expected {_shape(spec.shape)}, the {side} has {_shape(array.shape)}"
    shapes = reference[spec.name].shape, candidate[spec.name].shape
    if shapes[0] != shapes[1]:
        return f"shape: the reference has {_shape(shapes[0])}, the candidate {_shape(shapes[1])}"
    return "" if reference[spec.name].size else "empty: there is no element to compare"


def _measure(spec: TensorSpec, tolerance: Tolerance, reference: Array, candidate: Array, ties: _Ties) -> Metrics:
    if is_exact(spec) and not tolerance.atol:  # integers that may be one apart are numbers
        return index_metrics(reference, candidate, ties.quantized, ties.near)
    if spec.kind is Kind.PICTURE:
        return picture_metrics(reference, candidate, tolerance, spec.value_range or (-1.0, 1.0))
    return value_metrics(reference, candidate, tolerance)


def _failure(metrics: Metrics, tolerance: Tolerance) -> str:
    """Return why the numbers fail, or nothing."""
    if isinstance(metrics, IndexMetrics):
        return _wrong_integers(metrics, tolerance) if metrics.mismatches > metrics.near_ties else ""
    if metrics.out_of_tolerance == 0:
        return _too_noisy(metrics, tolerance)
    return (
        f"{metrics.out_of_tolerance:,} of {metrics.elements:,} values are out of tolerance "
        f"(atol {tolerance.atol:g}, rtol {tolerance.rtol:g}); largest error {metrics.max_abs_error:.3g}{_nans(metrics)}"
    )


def _wrong_integers(metrics: IndexMetrics, tolerance: Tolerance) -> str:
    differ = f"{metrics.mismatches:,} of {metrics.elements:,} integers differ"
    if tolerance.near_ties is None or metrics.largest_tie_distance is None:
        return differ
    largest, allowed = metrics.largest_tie_distance, tolerance.near_ties
    return (
        f"{differ}; near ties may, {most(allowed, metrics.elements)} at most, up to a distance of "
        f"{allowed.distance:g}; largest found {largest:.3g}"
    )


def _too_noisy(metrics: ValueMetrics, tolerance: Tolerance) -> str:
    """Return why the error as a whole is too large although no single one is, or nothing."""
    if tolerance.min_sqnr_db is None or metrics.sqnr_db >= tolerance.min_sqnr_db:
        return ""
    return (
        f"the error is systematic: SQNR {metrics.sqnr_db:.1f} dB, at least {tolerance.min_sqnr_db:g} dB expected, "
        f"though no single value is out of tolerance (largest error {metrics.max_abs_error:.3g})"
    )


def _nans(metrics: ValueMetrics) -> str:
    counts = {"reference": metrics.reference_nans, "candidate": metrics.candidate_nans}
    return "".join(f"; {count} NaN in the {side}" for side, count in counts.items() if count)


def _success(metrics: Metrics) -> str:
    if isinstance(metrics, IndexMetrics):
        if not metrics.mismatches:
            return f"all {metrics.elements:,} integers are equal"
        equal = f"{metrics.elements - metrics.mismatches:,} of {metrics.elements:,} integers are equal"
        near = "1 is a near tie" if metrics.near_ties == 1 else f"{metrics.near_ties:,} are near ties"
        return f"{equal}, {near} (distance at most {metrics.largest_tie_distance:.2g})"
    return f"largest error {metrics.max_abs_error:.3g}, {metrics.tolerance_used:.2%} of what is allowed"


def _unexpected(name: str, outputs: tuple[TensorSpec, ...]) -> TensorDiff:
    names = [spec.name for spec in outputs]
    spec = TensorSpec(name=name, shape=(), dtype="")
    reason = f"unexpected: the signature has {_listing(names)}{_near(name, names)}"
    return _diff(spec, Status.FAILED, reason, UNEXPECTED)


def _diff(
    spec: TensorSpec, status: Status, reason: str, tolerance: Tolerance, metrics: Metrics | None = None
) -> TensorDiff:
    return TensorDiff(
        name=spec.name,
        kind=Kind.INDICES if isinstance(metrics, IndexMetrics) else spec.kind,
        status=status,
        reason=reason,
        tolerance=tolerance,
        metrics={} if metrics is None else as_mapping(metrics),
    )


def _shape(shape: tuple[int | str, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _listing(names: Collection[str]) -> str:
    return few(map(repr, names)) or "none"


def _near(name: str, names: Collection[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"; {near[0]!r} looks like it renamed" if near else ""
