"""Judging an artifact again, later or elsewhere: against JAX, or against another artifact."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from lwmport import atomic, manifest, owned
from lwmport.errors import RunnerError, UsageError
from lwmport.models.storage import judged_in
from lwmport.options import DTYPES
from lwmport.pipeline.budget_record import missed_by
from lwmport.pipeline.convert.output_folder import check_names
from lwmport.pipeline.convert.request import Outcome
from lwmport.pipeline.convert.validation import new_report
from lwmport.pipeline.destination import place_of
from lwmport.pipeline.names import settle
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.output_checks import check_writable
from lwmport.pipeline.reopen import Converted
from lwmport.pipeline.validate.accuracy import accuracy_of, exact_outputs
from lwmport.pipeline.validate.cache_cost import cache_notes
from lwmport.pipeline.validate.convolutions_alone import judge_convolutions
from lwmport.pipeline.validate.input_words import InputWords, together
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
from lwmport.pipeline.validate.reference_runs import ReferenceRun, check_given, gather, held_against, trial_batch
from lwmport.pipeline.validate.rounded_cache import judge_cache
from lwmport.pipeline.validate.rounded_products import judge_products
from lwmport.pipeline.validate.storage_cost import storage_notes
from lwmport.pipeline.validate.subject import Subject, Subjects, subjects_of
from lwmport.pipeline.validate.test_inputs import Sampling, sampling_for
from lwmport.pipeline.validate.weights_read_back import judge_weights
from lwmport.registry import check_known, meant
from lwmport.reports.files import NAMES as REPORT
from lwmport.reports.files import listed, write_report
from lwmport.reports.record import ComponentReport, Conversion
from lwmport.requests import by_fields, check_samples, check_types
from lwmport.runtime.registry import RUNNERS, check_startable, runner_for
from lwmport.runtime.runners.jax import reference_kind
from lwmport.types import Status, Weights
from lwmport.validators.accuracy import Accuracy
from lwmport.validators.ranges import Ranges
from lwmport.verdicts import Fault

JAX = "jax"

NARROW: Final = ("float16", "bfloat16")
"""What ``--ranges`` takes."""


@dataclass(frozen=True, kw_only=True)
class ValidateRequest:
    """What to judge, against what, and where a report goes, if anywhere.

    ``runner`` is what runs the artifact (a key of `lwmport.runtime.registry.RUNNERS`, or another package's), by default
    the usual one of its suffix. ``device`` is the number of the card, for a runner that has several. ``inputs`` is a
    .npz, a .jsonl or a folder of pictures to run on (`lwmport.runtime.given_inputs`), by default our own; ``samples``
    is how many runs. ``adapter`` is the LoRA adapter that was merged into the checkpoint.
    ``ranges`` is a dtype, float16 or bfloat16, that the values inside the model are held against; one that failed in a
    narrow precision is held against that anyway.
    """

    artifact: Path
    reference: str = JAX
    checkpoint: str | None = None
    out: Path | None = None
    runner: str | None = None
    device: int | None = None
    inputs: Path | None = None
    samples: int | None = None
    adapter: Path | None = None
    ranges: str | None = None

    def __post_init__(self) -> None:
        """Refuse types that no field has, and give everything that has a name its one name."""
        check_types(self)
        check_samples(self.samples)
        settle(self)
        if self.ranges is not None:
            self_ranges = meant("dtype for --ranges", self.ranges, NARROW, DTYPES)
            check_known("dtype for --ranges", self_ranges, NARROW, DTYPES)
            object.__setattr__(self, "ranges", self_ranges)


@dataclass(frozen=True, kw_only=True)
class _Known:
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
class _Costs:
    """What a model that is not float32 costs, without a verdict: of its stored weights, and of its outputs."""

    notes: Sequence[str] = ()
    accuracy: tuple[Accuracy, ...] = ()
    ranges: Ranges | None = None


@by_fields(ValidateRequest)
def validate(request: ValidateRequest, observer: Observer | None = None) -> Outcome:
    """Run the artifacts of a folder, or one artifact, beside their reference and return the verdict.

    A file that is no longer the one that was converted fails, whatever its numbers are; one that does not run is not
    judged. One that was compiled from a converted model is judged as that one (`lwmport.pipeline.validate.subject`).

    Raises:
        ArtifactError: there is no artifact, no manifest stands beside it, or it is damaged.
        CheckpointError: the weights that were converted are needed and not given.
        UsageError: the runner that is named is unknown, or does not take the artifact.
        RunnerError: the runner that is named cannot start here.
    """
    observer = observer or Silent()
    found = subjects_of(request.artifact, None if request.reference == JAX else Path(request.reference))
    if request.runner is None and found.items[0].runner:
        request = replace(request, runner=found.items[0].runner)
    made, converted = found.described, found.converted(request.checkpoint, request.adapter)
    _check_runner(request, found)
    earlier = owned.Earlier(listed)
    if request.out is not None:
        check_writable(request.out)
        check_names(request.out, REPORT, earlier)
    sampling = sampling_for(request.inputs, request.samples, request.checkpoint, converted.family.references)
    check_given(converted, sampling)
    sections: list[ComponentReport] = []
    pictures: dict[str, bytes] = {}
    told: list[InputWords] = []
    for subject in found.items:
        observer.phase(f"{subject.part.name}: digests of its files")
        wrong = () if found.compiled else manifest.part_faults(subject.part, found.folder)
        wrong += missed_by(subject.part, found.folder)
        known = _Known(wrong=wrong, ours=subject.recorded if found.compiled else not wrong, sampling=sampling)
        section, drawn, words = _section(request, subject, converted, known, observer)
        sections.append(section)
        told += [words] if words else []
        pictures.update(drawn)
    judged = [subject.part.name for subject in found.items]
    left_out = tuple(part.name for part in found.made.components if part.name not in judged)
    title = ", ".join(judged) if left_out else made.component
    inputs = together(told)
    report = new_report(
        title, made.weights, tuple(sections), made.reproduce, choices=made.choices, left_out=left_out, inputs=inputs
    )
    if request.out is not None:
        with atomic.new_folder(request.out, last="report.json", owned=earlier) as scratch:
            write_report(report, scratch, pictures)
    return Outcome(
        out=found.place,
        manifest=made,
        report=report,
        seconds=0.0,
        peak_bytes=0,
        status=report.status,
        failures=tuple(dict.fromkeys(fault.reason for part in sections for fault in part.faults)),
    )


def _check_runner(request: ValidateRequest, found: Subjects) -> None:
    """Refuse a runner that does not take the files or cannot start here, and a number of a device that it has not."""
    paths = [subject.path for subject in found.items]
    for path in paths if request.runner is not None else ():
        check_startable(runner_for(path, request.runner).name, path)
    for path in paths if request.device is not None else ():
        spec = runner_for(path, request.runner)
        if not spec.numbered:
            names = " or ".join(name for name, other in RUNNERS.items() if other.numbered)
            raise UsageError(f"expected --device with --runner {names}, found it for {spec.name}; leave --device out")


def _section(
    request: ValidateRequest,
    subject: Subject,
    converted: Converted,
    known: _Known,
    observer: Observer,
) -> tuple[ComponentReport, Mapping[str, bytes], InputWords | None]:
    """Return what is found on one model file, the pictures of it, and what it was judged on."""
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
    return section, judgement.pictures, words


def _judged(
    request: ValidateRequest, subject: Subject, converted: Converted, known: _Known, observer: Observer
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
        judgement = judge_products(judgement, subject.path, part.signature, run, own_precision, observer.phase)
        judgement = judge_cache(judgement, part.signature, run, own_precision)
        judgement = judge_convolutions(judgement, subject.path, part.signature, run, held, observer.phase)
        judgement = judge_weights(judgement, component, subject.path, held)
    costs = _Costs(
        notes=[*storage_notes(part, held, first, exact[0]), *cache_notes(held, first)],
        accuracy=accuracy_of(held, first, exact, judgement.outputs, converted.family.options.precision),
    )
    return judgement, replace(costs, ranges=_ranges(request, judgement, converted, first, held)), run.words


def _ranges(
    request: ValidateRequest, judgement: Judgement, converted: Converted, run: ReferenceRun, weights: Weights
) -> Ranges | None:
    """Return how the values inside a model fit a dtype: the one asked for, else that of a narrow one that failed."""
    options = converted.family.options
    failed = judgement.validation.status is Status.FAILED and options.precision != "float32"
    dtype = request.ranges or (options.precision if failed else None)
    if dtype is None:
        return None
    cases = run.all if request.ranges else (run,)
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
