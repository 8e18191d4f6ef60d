"""Judging an artifact again, later or elsewhere: against JAX, or against another artifact."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lwmport import atomic, manifest
from lwmport.errors import UsageError
from lwmport.pipeline.convert.request import Outcome
from lwmport.pipeline.convert.validation import new_report
from lwmport.pipeline.names import settle
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.output_checks import check_writable
from lwmport.pipeline.reopen import Converted
from lwmport.pipeline.validate.judge import component_report, judge, open_runner
from lwmport.pipeline.validate.reference_runs import gather, held_against, trial_batch
from lwmport.pipeline.validate.storage_cost import storage_notes
from lwmport.pipeline.validate.subject import Subject, Subjects, subjects_of
from lwmport.reports.files import write_report
from lwmport.reports.record import ComponentReport, Conversion
from lwmport.requests import by_fields, check_types
from lwmport.runtime.registry import RUNNERS, check_startable, runner_for
from lwmport.runtime.runners.jax import reference_kind
from lwmport.types import Status

JAX = "jax"


@dataclass(frozen=True, kw_only=True)
class ValidateRequest:
    """What to judge, against what, and where a report goes, if anywhere.

    ``runner`` is what runs the artifact (a key of `lwmport.runtime.registry.RUNNERS`, or another package's), by default
    the usual one of its suffix. ``device`` is the number of the card, for a runner that has several.
    """

    artifact: Path
    reference: str = JAX
    checkpoint: str | None = None
    out: Path | None = None
    runner: str | None = None
    device: int | None = None

    def __post_init__(self) -> None:
        """Refuse types that no field has, and give everything that has a name its one name."""
        check_types(self)
        settle(self)


@by_fields(ValidateRequest)
def validate(request: ValidateRequest, observer: Observer | None = None) -> Outcome:
    """Run the artifacts of a folder, or one artifact, beside their reference and return the verdict.

    A file that is no longer the one that was converted fails, whatever its numbers are. One that was compiled from a
    converted model is judged as that one (`lwmport.pipeline.validate.subject`).

    Raises:
        ArtifactError: there is no artifact, no manifest stands beside it, or it is damaged.
        CheckpointError: the weights that were converted are needed and not given.
        UsageError: the runner that is named is unknown, or does not take the artifact.
        RunnerError: the runner that is named cannot start here.
    """
    observer = observer or Silent()
    found = subjects_of(request.artifact, None if request.reference == JAX else Path(request.reference))
    made, converted = found.described, found.converted(request.checkpoint)
    _check_runner(request, found)
    if request.out is not None:
        check_writable(request.out)
    changed = _changed(found)
    sections: list[ComponentReport] = []
    pictures: dict[str, bytes] = {}
    for subject in found.items:
        section, drawn = _section(request, subject, converted, observer)
        sections.append(section)
        pictures.update(drawn)
    report = new_report(made.family, made.weights, tuple(sections), made.reproduce)
    if request.out is not None:
        with atomic.new_folder(request.out) as scratch:
            write_report(report, scratch, pictures)
    return Outcome(
        out=request.out or found.place,
        manifest=made,
        report=report,
        seconds=0.0,
        peak_bytes=0,
        status=Status.FAILED if changed else report.status,
        failures=changed,
    )


def _check_runner(request: ValidateRequest, found: Subjects) -> None:
    """Refuse a runner that does not take the files or cannot start here, and a number of a device that it has not."""
    paths = [subject.path for subject in found.items]
    for path in paths:
        check_startable(runner_for(path, request.runner).name, path)
    for path in paths if request.device is not None else ():
        spec = runner_for(path, request.runner)
        if not spec.numbered:
            names = " or ".join(name for name, other in RUNNERS.items() if other.numbered)
            raise UsageError(f"expected --device with --runner {names}, found it for {spec.name}; leave --device out")


def _changed(found: Subjects) -> tuple[str, ...]:
    """Return which converted files are no longer as their manifest says; nothing vouches for a compiled one."""
    if found.compiled:
        return ()
    names = found.converted().changed_files()
    return tuple(f"{name} is not the file that was converted: its digest differs" for name in names)


def _section(
    request: ValidateRequest, subject: Subject, converted: Converted, observer: Observer
) -> tuple[ComponentReport, Mapping[str, bytes]]:
    part, made = subject.part, converted.manifest
    component, held = converted.component(part.name), converted.component_weights(part.name)
    named = reference_kind(component).name if request.reference == JAX else request.reference
    observer.phase(f"{part.name}: run the reference ({named}) and {part.path}")
    run = gather(component, held, trial_batch(part.signature), observer.progress)
    notes = storage_notes(part, component, held, run)
    if request.reference != JAX:
        other = _other(Path(request.reference), part)
        with contextlib.closing(open_runner(other)) as runner:
            run = held_against(run, runner, f"{other.parent.name}/{other.name}")
    precision = subject.judged_in(converted.family.options.precision)
    opener = partial(open_runner, runner=request.runner, precision=subject.hint, device=request.device or 0)
    judgement = judge(subject.path, part.signature, run, precision, observer.phase, opener)
    cost = Conversion(seconds=0.0, peak_bytes=None)
    facts = (subject.form, made.dialect, precision)
    section = component_report(part, judgement, facts, cost, made.weights_sha256)
    return replace(section, notes=(*section.notes, *notes)), judgement.pictures


def _other(reference: Path, part: manifest.ComponentEntry) -> Path:
    """Return the model file to compare with: the one named, or the same component's in the folder that is named."""
    if (reference / manifest.NAME).is_file():
        found = [entry.path for entry in manifest.read(reference).components if entry.name == part.name]
        if found:
            return reference / found[0]
    if not reference.exists():
        raise UsageError(f"expected {JAX!r}, a model file or a folder of artifacts as reference, found {reference}")
    return reference
