"""One model file beside its reference: its verdict, what it costs beside float32, and what it was judged on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lwmport import manifest
from lwmport.errors import RunnerError, UsageError
from lwmport.models.storage import judged_in
from lwmport.pipeline.destination import place_of
from lwmport.pipeline.observer import Observer
from lwmport.pipeline.reopen import Converted
from lwmport.pipeline.validate.accuracy import accuracy_of, exact_outputs
from lwmport.pipeline.validate.cache_cost import cache_notes
from lwmport.pipeline.validate.closer import judge_closer
from lwmport.pipeline.validate.input_words import InputWords
from lwmport.pipeline.validate.integers import integers_of, with_integers
from lwmport.pipeline.validate.judge import (
    Judgement,
    component_report,
    judge,
    open_runner,
    run_apart,
    unjudged,
    why_not,
)
from lwmport.pipeline.validate.ranges import ranges_of, with_ranges
from lwmport.pipeline.validate.reference_runs import ReferenceRun, gather, held_against, trial_batch
from lwmport.pipeline.validate.request import INTEGERS, JAX, ValidateRequest
from lwmport.pipeline.validate.storage_cost import storage_notes
from lwmport.pipeline.validate.subject import Subject
from lwmport.pipeline.validate.test_inputs import Sampling
from lwmport.reports.record import ComponentReport, Conversion
from lwmport.runtime.registry import runner_for
from lwmport.runtime.runners.jax import reference_kind
from lwmport.types import Status, Weights
from lwmport.validators.accuracy import Accuracy
from lwmport.validators.integer_verdict import unjudged as unseen
from lwmport.validators.integers import Integers
from lwmport.validators.ranges import Ranges
from lwmport.verdicts import Fault


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of a model file before it is run.

    Attributes:
        wrong: what is wrong with its files.
        ours: whether it is as a record of ours lists it; any other is run in a process of its own.
        sampling: what it is judged on.
    """

    wrong: tuple[Fault, ...]
    ours: bool
    sampling: Sampling


@dataclass(frozen=True, kw_only=True)
class JudgedFile:
    """What is found on one model file, the pictures of it by name, and what it was judged on."""

    section: ComponentReport
    pictures: Mapping[str, bytes]
    words: InputWords | None


@dataclass(frozen=True, kw_only=True)
class _Costs:
    """What a model that is not float32 costs, without a verdict: of its stored weights, and of its outputs."""

    notes: Sequence[str] = ()
    accuracy: tuple[Accuracy, ...] = ()
    ranges: Ranges | None = None
    integers: Integers | None = None


def judged_file(
    request: ValidateRequest,
    subject: Subject,
    converted: Converted,
    known: Known,
    observer: Observer,
) -> JudgedFile:
    """Return what is found on one model file."""
    wrong, part, made = known.wrong, subject.part, converted.manifest
    reasons = [fault.reason for fault in wrong if fault.status is Status.NOT_JUDGED]
    reason = "; ".join(reasons) or why_not(subject.path, request.runner)
    costs = _Costs()
    words: InputWords | None = None
    if reason:
        judgement = unjudged(part.name, subject.path.name, request.reference, reason)
    else:
        judgement, costs, words = _judged(request, subject, converted, known, observer)
    if judgement.validation.status is Status.NOT_JUDGED:
        wrong = tuple(replace(fault, status=Status.NOT_JUDGED) for fault in wrong if fault.reason not in reasons)
    precision = subject.judged_in(converted.family.options.precision, request.runner)
    facts = (subject.form, made.dialect, precision)
    cost = Conversion(seconds=0.0, peak_bytes=None)
    section = component_report(_now(subject, wrong), judgement, facts, cost, made.weights_sha256)
    where, on_device = place_of(subject.path, request.runner)
    section = replace(section, notes=(*section.notes, *costs.notes), accuracy=costs.accuracy)
    section = replace(section, faults=wrong, where=where, on_device=on_device)
    section = section if costs.ranges is None else with_ranges(section, costs.ranges)
    section = section if costs.integers is None else with_integers(section, costs.integers)
    return JudgedFile(section=section, pictures=judgement.pictures, words=words)


def _judged(
    request: ValidateRequest, subject: Subject, converted: Converted, known: Known, observer: Observer
) -> tuple[Judgement, _Costs, InputWords | None]:
    """Return the verdict on the numbers of one model file, what it costs beside float32, and what it was judged on."""
    part = subject.part
    component, held = converted.component(part.name), converted.component_weights(part.name)
    named = reference_kind(component).name if request.reference == JAX else request.reference
    observer.phase(f"{part.name}: run the reference ({named}) and {part.path}")
    own = known.sampling.of(part.signature.inputs[0].shape[0])
    first = run = gather(component, held, trial_batch(part.signature), observer.progress, own)
    exact = exact_outputs(held, first)
    if request.reference != JAX:
        run = against(run, other_model(Path(request.reference), part))
    precision = subject.judged_in(judged_in(converted.family.options), request.runner)
    opener = partial(open_runner, runner=request.runner, precision=subject.hint, device=request.device or 0)
    device = runner_for(subject.path, request.runner).device  # a card's driver counts no memory that a bound knows
    apart = None if known.ours or device else partial(run_apart, runner=request.runner, precision=subject.hint)
    judgement = judge(subject.path, part.signature, run, precision, observer.phase, opener, apart=apart)
    if known.ours:
        own_precision = subject.judged_in(judged_in(converted.family.options))
        judgement = judge_closer(
            judgement,
            component,
            subject.path,
            part.signature,
            run,
            weights=held,
            precision=own_precision,
            tell=observer.phase,
        )
    costs = _Costs(
        notes=[*storage_notes(part, held, first, exact[0]), *cache_notes(held, first)],
        accuracy=accuracy_of(held, first, exact, judgement.outputs, converted.family.options.precision),
    )
    if request.ranges == INTEGERS:
        observer.phase(f"{part.name}: look at the integers of {part.path}")
        costs = replace(costs, integers=_integers(request, subject, known, first, held))
    return judgement, replace(costs, ranges=_ranges(request, judgement, converted, first, held)), run.words


def _integers(
    request: ValidateRequest, subject: Subject, known: Known, run: ReferenceRun, weights: Weights
) -> Integers:
    """Return what the integers of a model file come to."""
    if not known.ours:
        return unseen(f"{subject.path.name} is not the file that was converted")
    cases = [one.fed(subject.part.signature.inputs) for one in run.all]
    return integers_of(subject.path, weights, cases, runner_for(subject.path, request.runner).name)


def _ranges(
    request: ValidateRequest, judgement: Judgement, converted: Converted, run: ReferenceRun, weights: Weights
) -> Ranges | None:
    """Return how the values inside a model fit a dtype: the one asked for, else that of a narrow one that failed."""
    options = converted.family.options
    failed = judgement.validation.status is Status.FAILED and options.precision != "float32"
    asked = None if request.ranges == INTEGERS else request.ranges
    dtype = asked or (options.precision if failed else None)
    if dtype is None:
        return None
    cases = run.all if asked else (run,)
    keep = options.keep_float32 if options.precision == dtype else ()
    return ranges_of(run.component, weights, [one.inputs for one in cases], dtype, keep)


def against(run: ReferenceRun, other: Path) -> ReferenceRun:
    """Return a run with the outputs of another model as the reference: its sender may be anybody.

    Raises:
        RunnerError: its runtime refuses it, or died.
    """
    made = run_apart(other, None, [one.inputs for one in run.all])
    if made.refusal:
        raise RunnerError(made.refusal)
    return held_against(run, made.outputs, made.seconds, f"{other.parent.name}/{other.name}")


def _now(subject: Subject, wrong: tuple[Fault, ...]) -> manifest.ComponentEntry:
    """Return the entry of a model with its files as they are now: what is judged is what a report vouches for."""
    folder = subject.path.parent
    there = [file.name for file in subject.part.files if (folder / file.name).is_file()]
    files = [manifest.file_entry(folder, folder / name) for name in there]
    return replace(subject.part, files=tuple(files)) if wrong else subject.part


def other_model(reference: Path, part: manifest.ComponentEntry) -> Path:
    """Return the model file to compare with: the one named, or the same component's in the folder that is named."""
    if (reference / manifest.NAME).is_file():
        found = [entry.path for entry in manifest.read(reference).components if entry.name == part.name]
        if found:
            return reference / found[0]
    if not reference.exists():
        raise UsageError(f"expected {JAX!r}, a model file or a folder of artifacts as reference, found {reference}")
    return reference
