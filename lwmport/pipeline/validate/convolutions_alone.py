"""The second verdict on convolutions of integers: does each of them, and all between them, compute what it should?

Two programs that round at the same places differ by a step wherever a value lies on a tie, each step moves hundreds of
values behind it, and after some layers they differ as much as the rounding itself. So the first verdict, on the file as
it is, has to leave room for that. In the second one each convolution is tried alone, on values that reach beyond both
ends of what it rounds to, and each part between two of them is given what the reference has there.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from lwmport.atomic import is_interruption
from lwmport.errors import said
from lwmport.models.specs import logits_of, tolerances_of
from lwmport.pipeline.validate.judge import Judgement
from lwmport.pipeline.validate.reference_runs import ReferenceRun
from lwmport.processors import processors
from lwmport.registry import Registry
from lwmport.reports import numbers
from lwmport.runtime.runners.jax import reference
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array, Kind, Levels, Rounded, Signature, Status, TensorDiff, Tolerance, Weights
from lwmport.validators.metrics import as_mapping
from lwmport.validators.outputs import compare_outputs
from lwmport.validators.values import value_metrics

TIES: Final = 1 / 5000
"""Share of values that may be a step off. Measured: 1 in 46,000 of one convolution, at most."""

FEW: Final = 3
"""Values that may be a step off in any case: of a small picture they are more than that share."""

HALF: Final = 0.5
"""Steps from which a value is another number."""

STEP: Final = 1.01
"""Steps that a value may be off: it is one at a tie, as near as float32 tells."""

OPENERS: Final = Registry(
    "form of a file whose convolutions run alone",
    {
        ".onnx": "lwmport.runtime.runners.convolutions_alone:open_with_convolutions_alone",
        ".tflite": "lwmport.runtime.runners.litert_convolutions_alone:open_with_convolutions_alone",
    },
)
"""Suffix -> what cuts a file in front of and behind each convolution."""

CHANNELS: Final = {".onnx": 1, ".tflite": -1}
"""Suffix -> the axis of channels in such a file."""

BETWEEN: Final = Tolerance(
    atol=1e-4,
    rtol=1e-3,
    why="Between two convolutions there are sums in float32 alone, from equal numbers.",
    min_sqnr_db=100.0,
)


def judge_convolutions(
    judgement: Judgement,
    path: Path,
    signature: Signature,
    run: ReferenceRun,
    weights: Weights,
    tell: Callable[[str], None],
) -> Judgement:
    """Return a verdict with that on each convolution of integers alone, and on all between them.

    A file of another format cannot be cut so, and its verdict stays alone.
    """
    component = run.component
    if not component.rounded or path.suffix not in OPENERS or judgement.validation.status is not Status.PASSED:
        return judgement
    tell(f"{component.name}: run each of {len(component.rounded)} convolutions of integers alone")
    expected = expected_alone(run, weights, signature)
    try:
        diffs, words = compare_alone(path, signature, run, expected)
    except Exception as error:  # runtimes raise dozens of unrelated types
        if is_interruption(error):
            raise
        reason = f"its convolutions of integers do not run alone: {said(error)}"
        return replace(judgement, validation=replace(judgement.validation, status=Status.FAILED, reason=reason))
    failed = tuple(diff for diff in diffs if diff.status is not Status.PASSED)
    if not failed:
        return replace(judgement, notes=(*judgement.notes, words))
    reason = f"{len(failed)} of {len(diffs)} parts disagree, each run alone: {failed[0].name}"
    validation = replace(
        judgement.validation, status=Status.FAILED, reason=reason, diffs=(*judgement.validation.diffs, *failed)
    )
    return replace(judgement, validation=validation)


def compare_alone(
    path: Path, signature: Signature, run: ReferenceRun, expected: Mapping[str, Array]
) -> tuple[tuple[TensorDiff, ...], str]:
    """Return the verdict on each convolution of integers alone and on all between them, and what to say if all passed.

    Raises:
        RunnerError: the file has no such convolutions, or does not run.
    """
    found = _found(path, signature, expected, run)
    diffs = (*_alone(run, expected, found), *_between(run, signature, expected, found))
    return diffs, _agrees(run.component.rounded, expected, found)


def expected_alone(run: ReferenceRun, weights: Weights, signature: Signature) -> dict[str, Array]:
    """Return the inputs and what the reference makes of them, with all trials; one item of a batch of any size."""
    from lwmport.models.rounding import tried_alone

    fixed = isinstance(signature.inputs[0].shape[0], int)
    inputs = {name: array if fixed else array[:1] for name, array in run.inputs.items()}
    return {**inputs, **reference(tried_alone(run.component), weights).run(inputs)}


def _found(path: Path, signature: Signature, expected: Mapping[str, Array], run: ReferenceRun) -> dict[str, Array]:
    """Return what the file makes of the same, channels last as the reference has it."""
    rounded, axis = run.component.rounded, CHANNELS[path.suffix]
    trials = {f"{kernel}/{part}": kernel for kernel in rounded for part in ("inputs", "returned")}
    fed = {spec.name: expected[spec.name].astype(spec.dtype, copy=False) for spec in signature.inputs}
    fed |= {name: np.ascontiguousarray(np.moveaxis(expected[name], -1, axis)) for name in trials}
    context = RunnerContext(threads=processors(), signature=signature)
    with contextlib.closing(OPENERS[path.suffix](path, context, rounded)) as runner:
        outputs = runner.run(fed)
    own = {spec.name for spec in signature.outputs}
    return {name: array if name in own else np.moveaxis(array, axis, -1) for name, array in outputs.items()}


def _alone(run: ReferenceRun, expected: Mapping[str, Array], found: Mapping[str, Array]) -> Iterator[TensorDiff]:
    """Yield the verdict on what each convolution makes of its trial."""
    for kernel, rounded in run.component.rounded.items():
        name = f"{kernel}/outputs"
        if rounded.outputs is None:
            yield _sums(f"convolution of {kernel}, alone", expected[name], found[name])
            continue
        off, largest = steps_off(expected[name], found[name], rounded.outputs)
        passed = off <= max(FEW, TIES * expected[name].size) and largest <= STEP
        tolerance = Tolerance(atol=STEP * rounded.outputs.scale, rtol=0.0, why=f"A step, for ties: {TIES:.2%} of all.")
        yield TensorDiff(
            name=f"convolution of {kernel}, alone",
            kind=Kind.VALUES,
            status=Status.PASSED if passed else Status.FAILED,
            reason="" if passed else f"{numbers.count(off)} values are off, by up to {largest:.0f} steps",
            tolerance=tolerance,
            metrics=as_mapping(value_metrics(expected[name], found[name], tolerance)),
        )


def _between(
    run: ReferenceRun, signature: Signature, expected: Mapping[str, Array], found: Mapping[str, Array]
) -> Iterator[TensorDiff]:
    """Yield the verdict on what the program brings to each convolution, and on its outputs."""
    family = run.component.family
    for kernel in run.component.rounded:
        name = f"{kernel}/reached"
        yield _sums(f"what goes into the convolution of {kernel}", expected[name], found[name])
    sides = ({spec.name: side[spec.name] for spec in signature.outputs} for side in (expected, found))
    outputs = compare_outputs(tolerances_of(family), signature.outputs, *sides, logits=logits_of(family))
    yield from (replace(diff, name=f"{diff.name}, behind the last convolution") for diff in outputs)


def _sums(name: str, expected: Array, found: Array) -> TensorDiff:
    """Return the verdict on values that are sums in float32 of equal numbers."""
    metrics = value_metrics(expected, found, BETWEEN)
    passed = not metrics.out_of_tolerance and metrics.sqnr_db >= (BETWEEN.min_sqnr_db or 0)
    return TensorDiff(
        name=name,
        kind=Kind.VALUES,
        status=Status.PASSED if passed else Status.FAILED,
        reason="" if passed else f"it is another: SQNR {numbers.decibels(metrics.sqnr_db)}",
        tolerance=BETWEEN,
        metrics=as_mapping(metrics),
    )


def steps_off(expected: Array, found: Array, levels: Levels) -> tuple[int, float]:
    """Return how many values are another number than is expected, and the largest difference in steps."""
    steps = np.abs(expected.astype(np.float64) - found) / levels.scale
    return int(np.count_nonzero(~(steps <= HALF))), float(np.nan_to_num(steps, nan=np.inf).max(initial=0.0))


def _agrees(rounded: Mapping[str, Rounded], expected: Mapping[str, Array], found: Mapping[str, Array]) -> str:
    """Return what was found, in words."""
    if all(own.outputs is None for own in rounded.values()):
        return (
            f"{len(rounded)} convolutions compute with integers. Each was run alone, on values beyond both ends of its "
            "range. It and all between them agree within the tolerance of float32, given the same numbers."
        )
    sides = {f"{kernel}/outputs": own.outputs for kernel, own in rounded.items() if own.outputs is not None}
    off = sum(steps_off(expected[name], found[name], levels)[0] for name, levels in sides.items())
    count = sum(expected[name].size for name in sides)
    return (
        f"{len(sides)} convolutions compute with integers. Each was run alone, on values beyond both ends of its "
        f"range: {numbers.count(off)} of {numbers.count(count)} values are another number than the reference's, by one "
        "step at a tie. All between them agrees within the tolerance of float32, given the same numbers."
    )
