"""What the ways of a race are held against: the JAX reference where its weights are at hand, else the artifact."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np

from lwmport.errors import PortError, UsageError
from lwmport.models.storage import judged_in
from lwmport.pipeline.observer import Observer
from lwmport.pipeline.reopen import Converted
from lwmport.pipeline.validate.judge import diffs_of
from lwmport.pipeline.validate.reference_runs import ReferenceRun, check_given, gather, trial_batch
from lwmport.pipeline.validate.test_inputs import sampling_for
from lwmport.reports import numbers
from lwmport.reports.race.record import Accuracy
from lwmport.runtime.isolated import run_all
from lwmport.targets.compile.agreement import LEAST_DB, LEAST_EQUAL, agreement, together
from lwmport.targets.compile.job import CompileJob
from lwmport.targets.compile.trials import trials
from lwmport.types import ROUNDED_PRODUCTS, Array, Signature, Status, TensorDiff
from lwmport.validators.indices import equal_share
from lwmport.validators.outputs import summarise
from lwmport.validators.tolerances import ALL
from lwmport.validators.values import sqnr_db

SAME: Final = "float32"
JUDGED_AS: Final = {"int8": ROUNDED_PRODUCTS}
"""A way's precision -> the one whose tolerances count."""


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What a way must keep to win.

    Attributes:
        precision: numbers are to be those of the reference within the tolerance of this precision.
        lossy: in place of that, the least signal-to-noise ratio of every output of numbers, decibels; None for none.
    """

    precision: str = SAME
    lossy: float | None = None

    @property
    def words(self) -> str:
        """The bound as it is told."""
        if self.lossy is None:
            return f"every output within the tolerance of {self.precision} (without --lossy)"
        return (
            f"at least {numbers.decibels(self.lossy)} in every output of numbers (--lossy), integers but for near ties"
        )


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """What is run, and how outputs are judged.

    ``judge`` takes the outputs of each run and the precision of the way that gave them, and ``bound`` tells by what.
    """

    reference: str
    inputs: str
    bound: str
    feeds: Sequence[Mapping[str, Array]]
    judge: Callable[[Sequence[Mapping[str, Array]], str], Accuracy]


def by_jax(found: Converted, job: CompileJob, bound: Bound, given: Any, observer: Observer) -> Yardstick:
    """Return the yardstick that `lwmport validate` has: the JAX reference in float32, on the component's own inputs.

    ``given`` has the ``inputs``, ``samples`` and ``checkpoint`` of a request.

    Raises:
        CheckpointError: the weights are not those that were converted.
        UsageError: the component does not take the user's inputs.
    """
    (part,) = (part for part in found.manifest.components if part.name == job.name)
    component, held = found.component(part.name), found.component_weights(part.name)
    sampling = sampling_for(given.inputs, given.samples, given.checkpoint, found.family.references)
    check_given(replace(found, parts=(part,)), sampling)
    observer.phase(f"{part.name}: run the reference")
    own = sampling.of(part.signature.inputs[0].shape[0])
    run = gather(component, held, trial_batch(part.signature), observer.progress, own)
    return Yardstick(
        reference=run.reference,
        inputs=run.description,
        bound=bound.words,
        feeds=[one.fed(part.signature.inputs) for one in run.all],
        judge=partial(_judged, run, part.signature, judged_in(found.family.options), bound),
    )


def _judged(
    run: ReferenceRun,
    signature: Signature,
    own: str,
    bound: Bound,
    outputs: Sequence[Mapping[str, Array]],
    precision: str,
) -> Accuracy:
    wanted = bound.precision if bound.lossy is None else JUDGED_AS.get(precision, precision)
    # A model that computes in float16 itself is judged so in any runtime.
    coarser = max(own, JUDGED_AS.get(wanted, wanted), key=list(ALL).index)
    diffs = diffs_of(run, signature, outputs, coarser)
    status, reason = summarise(diffs) if bound.lossy is None else _lossy(diffs, bound.lossy)
    return Accuracy(
        verdict=status,
        reason=reason,
        sqnr_db=_least(diffs, "sqnr_db"),
        psnr_db=_least(diffs, "worst_psnr_db"),
        equal=min(
            (1 - diff.metrics["mismatch_rate"] for diff in diffs if "mismatch_rate" in diff.metrics), default=None
        ),
    )


def _lossy(diffs: Iterable[TensorDiff], least: float) -> tuple[Status, str]:
    """Return the verdict by a ratio alone: on numbers; what has none (integers, broken outputs) by its tolerance."""
    found = list(diffs)
    wrong = [
        f"{diff.name}: {diff.reason}"
        for diff in found
        if "sqnr_db" not in diff.metrics and diff.status is not Status.PASSED
    ]
    levels = {diff.name: diff.metrics["sqnr_db"] for diff in found if "sqnr_db" in diff.metrics}
    wrong += [f"{name}: {numbers.decibels(level)}" for name, level in levels.items() if not level >= least]
    if wrong or not found:
        return Status.FAILED, "; ".join(wrong) or "there was no output to compare"
    return Status.PASSED, f"{len(found)} of {len(found)} outputs within the bound"


def _least(diffs: Iterable[TensorDiff], name: str) -> float | None:
    return min((diff.metrics[name] for diff in diffs if diff.metrics.get(name) is not None), default=None)


def by_itself(job: CompileJob, engine: str, bound: Bound, observer: Observer) -> Yardstick:
    """Return the yardstick of a model without a reference at hand: what its usual runtime makes of it, on samples.

    Raises:
        UsageError: the runtime refuses all samples.
        PortError: it refuses the model.
    """
    observer.phase(f"{job.name}: run {job.path.name} in {engine}")
    feeds = trials(job)
    made = run_all(job.path, feeds, runner=engine)
    taken = [(feed, found) for feed, found in zip(feeds, made.outputs, strict=True) if not isinstance(found, PortError)]
    if not taken or (job.given and len(taken) < len(feeds)):
        raise UsageError(f"expected inputs that {job.path.name} takes, found: {made.outputs[0]}; give --inputs F.npz")
    taken = taken if job.given else taken[:1]
    expected = [found for _, found in taken]
    what = "your inputs" if job.given else "samples from seed 0"
    return Yardstick(
        reference=f"{job.path.name} itself in {made.runner}, for no weights to run the reference with were named",
        inputs=f"{what} ({len(taken)})",
        bound=bound.words if bound.lossy is not None else f"{_least_agreement(bound)} (without --lossy)",
        feeds=[feed for feed, _ in taken],
        judge=partial(_agreed, job, expected, bound),
    )


def _least_agreement(bound: Bound) -> str:
    least, equal = LEAST_DB[bound.precision], LEAST_EQUAL[bound.precision]
    return f"at least {numbers.decibels(least)} in every output of numbers, {equal:.0%} of the integers equal"


def _agreed(
    job: CompileJob,
    expected: Sequence[Mapping[str, Array]],
    bound: Bound,
    outputs: Sequence[Mapping[str, Array]],
    precision: str,
) -> Accuracy:
    del precision
    one, other = together(expected), together(outputs)
    agrees = agreement(job.path.name, one, other, bound.precision, job.scales)
    levels, shares = [], []
    for name, array in one.items():
        found = other.get(name)
        if found is None or found.shape != array.shape or found.dtype != array.dtype:
            return Accuracy(verdict=Status.FAILED, reason=agrees.reason or f"{name}: another shape or dtype")
        if np.issubdtype(array.dtype, np.floating):
            finite = np.isfinite(array)
            levels.append(sqnr_db(array[finite], found[finite]) if np.isfinite(found[finite]).all() else -math.inf)
        else:
            shares.append(equal_share(array, found))
    level, share = min(levels, default=None), min(shares, default=None)
    reason = agrees.reason if bound.lossy is None else _below(level, share, bound.lossy)
    return Accuracy(
        verdict=Status.FAILED if reason else Status.PASSED,
        reason=reason or f"{len(one)} of {len(one)} outputs within the bound",
        sqnr_db=level,
        equal=share,
    )


def _below(level: float | None, share: float | None, least: float) -> str:
    """Return why the least ratio, or the least share of equal integers, is below a bound; nothing if it is not."""
    if level is not None and level < least:
        return f"{numbers.decibels(level)}, expected at least {numbers.decibels(least)}"
    return f"{numbers.percent(1 - share)} of the integers differ" if share is not None and share < 1 else ""
