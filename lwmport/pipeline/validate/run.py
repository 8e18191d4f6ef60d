"""Judging an artifact again, later or elsewhere: against JAX, or against another artifact."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lwmport import atomic, manifest
from lwmport.errors import ArtifactError, UsageError
from lwmport.models.families import Family, resolve
from lwmport.models.options import Options
from lwmport.pipeline.components import component_of
from lwmport.pipeline.convert.request import Outcome
from lwmport.pipeline.convert.validation import new_report
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.validate.judge import component_report, judge, open_runner
from lwmport.pipeline.validate.reference_runs import gather, held_against, trial_batch
from lwmport.pipeline.validate.storage_cost import storage_notes
from lwmport.pipeline.weights import component_weights, reopen_weights
from lwmport.reports.files import write_report
from lwmport.reports.record import ComponentReport, Conversion
from lwmport.runtime.runners.jax import reference_kind
from lwmport.types import Status, Weights

JAX = "jax"


@dataclass(frozen=True, kw_only=True)
class ValidateRequest:
    """What to judge, against what, and where a report goes, if anywhere."""

    artifact: Path
    reference: str = JAX
    checkpoint: str | None = None
    out: Path | None = None


def validate(trial: ValidateRequest, observer: Observer | None = None) -> Outcome:
    """Run the artifacts of a folder (or the one named) beside their reference and return the verdict.

    A file that is no longer the one that was converted fails, whatever its numbers are.

    Raises:
        ArtifactError: there is no artifact, no manifest stands beside it, or it is damaged.
        CheckpointError: the weights that were converted are needed and not given.
    """
    observer = observer or Silent()
    if not trial.artifact.exists():
        raise ArtifactError(f"expected a model file or a folder of artifacts, found none at {trial.artifact}")
    folder = _folder(trial)
    made = manifest.read(folder)
    parts = _parts(made, folder, trial.artifact)
    changed = tuple(
        f"{name} is not the file that was converted: its digest differs"
        for name in manifest.changed_files(parts, folder)
    )
    family = resolve(made.component, made.config, Options.from_json(made.options))
    weights = reopen_weights(family, made, trial.checkpoint)
    sections: list[ComponentReport] = []
    pictures: dict[str, bytes] = {}
    for part in parts:
        section, drawn = _section(trial, part, family, weights, made, observer)
        sections.append(section)
        pictures.update(drawn)
    report = new_report(made.family, made.weights, tuple(sections), made.reproduce)
    if trial.out is not None:
        with atomic.new_folder(trial.out) as scratch:
            write_report(report, scratch, pictures)
    return Outcome(
        out=trial.out or folder,
        manifest=made,
        report=report,
        seconds=0.0,
        peak_bytes=0,
        status=Status.FAILED if changed else report.status,
        failures=changed,
    )


def _parts(made: manifest.Manifest, folder: Path, artifact: Path) -> list[manifest.ComponentEntry]:
    if artifact == folder:
        return list(made.components)
    found = [part for part in made.components if folder / part.path == artifact]
    if not found:
        names = ", ".join(part.path for part in made.components)
        raise ArtifactError(f"expected an artifact that {folder / manifest.NAME} names ({names}), found {artifact}")
    return found


def _section(
    trial: ValidateRequest,
    part: manifest.ComponentEntry,
    family: Family,
    weights: Weights,
    made: manifest.Manifest,
    observer: Observer,
) -> tuple[ComponentReport, Mapping[str, bytes]]:
    folder = _folder(trial)
    component = component_of(family, part.name)
    held = component_weights(family, component, weights)
    named = reference_kind(component).name if trial.reference == JAX else trial.reference
    observer.phase(f"{part.name}: run the reference ({named}) and {part.path}")
    evidence = gather(component, held, trial_batch(part.signature), observer.progress)
    notes = storage_notes(part, component, held, evidence)
    if trial.reference != JAX:
        other = _other(Path(trial.reference), part)
        evidence = held_against(evidence, open_runner(other), f"{other.parent.name}/{other.name}")
    precision = family.options.precision
    judgement = judge(folder / part.path, part.signature, evidence, precision, observer.phase)
    cost = Conversion(seconds=0.0, peak_bytes=None)
    facts = (made.artifact_format, made.dialect, precision)
    section = component_report(part, judgement, facts, cost, made.weights_sha256)
    return replace(section, notes=(*section.notes, *notes)), judgement.pictures


def _folder(trial: ValidateRequest) -> Path:
    return trial.artifact if (trial.artifact / manifest.NAME).is_file() else trial.artifact.parent


def _other(reference: Path, part: manifest.ComponentEntry) -> Path:
    """Return the model file to compare with: the one named, or the same component's in the folder that is named."""
    if (reference / manifest.NAME).is_file():
        found = [entry.path for entry in manifest.read(reference).components if entry.name == part.name]
        if found:
            return reference / found[0]
    if not reference.exists():
        raise UsageError(f"expected {JAX!r}, a model file or a folder of artifacts as reference, found {reference}")
    return reference
