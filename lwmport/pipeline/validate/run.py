"""Judging an artifact again, later or elsewhere: against JAX, or against another artifact."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lwmport import atomic, manifest
from lwmport.errors import UsageError
from lwmport.models.families import Family, resolve
from lwmport.models.options import Options
from lwmport.pipeline.components import component_of
from lwmport.pipeline.convert.request import Outcome
from lwmport.pipeline.convert.validation import new_report
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.validate.judge import component_report, judge, open_runner
from lwmport.pipeline.validate.reference_runs import gather, held_against, trial_batch
from lwmport.pipeline.validate.storage_cost import storage_notes
from lwmport.pipeline.validate.subject import Subject, Subjects, subjects_of
from lwmport.pipeline.weights import component_weights, reopen_weights
from lwmport.reports.files import write_report
from lwmport.reports.record import ComponentReport, Conversion
from lwmport.runtime.registry import RUNNERS, check_startable, runner_for
from lwmport.runtime.runners.jax import reference_kind
from lwmport.types import Status, Weights

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


def validate(trial: ValidateRequest, observer: Observer | None = None) -> Outcome:
    """Run the artifacts of a folder (or the one named) beside their reference and return the verdict.

    A file that is no longer the one that was converted fails, whatever its numbers are. One that was compiled from a
    converted model is judged as that one (`lwmport.pipeline.validate.subject`).

    Raises:
        ArtifactError: there is no artifact, no manifest stands beside it, or it is damaged.
        CheckpointError: the weights that were converted are needed and not given.
        UsageError: the runner that is named is unknown, or does not take the artifact.
        RunnerError: the runner that is named cannot start here.
    """
    observer = observer or Silent()
    found = subjects_of(trial.artifact, None if trial.reference == JAX else Path(trial.reference))
    made = found.described
    _check_runner(trial, found)
    changed = _changed(found)
    family = resolve(made.component, made.config, Options.from_json(made.options))
    weights = reopen_weights(family, made, trial.checkpoint)
    sections: list[ComponentReport] = []
    pictures: dict[str, bytes] = {}
    for subject in found.items:
        section, drawn = _section(trial, subject, family, weights, made, observer)
        sections.append(section)
        pictures.update(drawn)
    report = new_report(made.family, made.weights, tuple(sections), made.reproduce)
    if trial.out is not None:
        with atomic.new_folder(trial.out) as scratch:
            write_report(report, scratch, pictures)
    return Outcome(
        out=trial.out or found.place,
        manifest=made,
        report=report,
        seconds=0.0,
        peak_bytes=0,
        status=Status.FAILED if changed else report.status,
        failures=changed,
    )


def _check_runner(trial: ValidateRequest, found: Subjects) -> None:
    """Refuse a runner that does not take the files or cannot start here, and a number of a device that it has not."""
    paths = [subject.path for subject in found.items]
    if trial.runner is not None:
        check_startable(trial.runner, *paths)
    for path in paths if trial.device is not None else ():
        spec = runner_for(path, trial.runner)
        if not spec.numbered:
            names = " or ".join(name for name, other in RUNNERS.items() if other.numbered)
            raise UsageError(f"expected --device with --runner {names}, found it for {spec.name}; leave --device out")


def _changed(found: Subjects) -> tuple[str, ...]:
    """Return which converted files are no longer as their manifest says; nothing vouches for a compiled one."""
    if found.compiled:
        return ()
    names = manifest.changed_files([subject.part for subject in found.items], found.folder)
    return tuple(f"{name} is not the file that was converted: its digest differs" for name in names)


def _section(
    trial: ValidateRequest,
    subject: Subject,
    family: Family,
    weights: Weights,
    made: manifest.Manifest,
    observer: Observer,
) -> tuple[ComponentReport, Mapping[str, bytes]]:
    part = subject.part
    component = component_of(family, part.name)
    held = component_weights(family, component, weights)
    named = reference_kind(component).name if trial.reference == JAX else trial.reference
    observer.phase(f"{part.name}: run the reference ({named}) and {part.path}")
    evidence = gather(component, held, trial_batch(part.signature), observer.progress)
    notes = storage_notes(part, component, held, evidence)
    if trial.reference != JAX:
        other = _other(Path(trial.reference), part)
        with contextlib.closing(open_runner(other)) as runner:
            evidence = held_against(evidence, runner, f"{other.parent.name}/{other.name}")
    precision = subject.judged_in(family.options.precision)
    opener = partial(open_runner, runner=trial.runner, precision=subject.hint, device=trial.device or 0)
    judgement = judge(subject.path, part.signature, evidence, precision, observer.phase, opener)
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
