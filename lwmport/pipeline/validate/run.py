"""Judging an artifact again, later or elsewhere: against JAX, or against another artifact."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lwmport import atomic, manifest
from lwmport.errors import UsageError
from lwmport.pipeline.convert.request import Outcome
from lwmport.pipeline.convert.validation import new_report
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.reopen import Converted, reopen
from lwmport.pipeline.validate.judge import component_report, judge, open_runner
from lwmport.pipeline.validate.reference_runs import gather, held_against, trial_batch
from lwmport.reports.files import write_report
from lwmport.reports.record import ComponentReport, Conversion
from lwmport.requests import asked, check_types
from lwmport.runtime.runners.jax import reference_kind
from lwmport.types import Status

JAX = "jax"


@dataclass(frozen=True, kw_only=True)
class ValidateRequest:
    """What to judge, against what, and where a report goes, if anywhere."""

    artifact: Path
    reference: str = JAX
    checkpoint: str | None = None
    out: Path | None = None

    def __post_init__(self) -> None:
        """Refuse types that no field has."""
        check_types(self)


def validate(request: ValidateRequest | None = None, observer: Observer | None = None, **fields: Any) -> Outcome:
    """Run the artifacts of a folder, or one artifact, beside their reference and return the verdict.

    A file that is no longer the one that was converted fails, whatever its numbers are. ``fields`` are those of a
    request, given in its place.

    Raises:
        ArtifactError: there is no artifact, no manifest stands beside it, or it is damaged.
        CheckpointError: the weights that were converted are needed and not given.
    """
    request, observer = asked(ValidateRequest, request, fields), observer or Silent()
    found = reopen(request.artifact, request.checkpoint)
    made = found.manifest
    changed = tuple(f"{name} is not the file that was converted: its digest differs" for name in found.changed_files())
    sections: list[ComponentReport] = []
    pictures: dict[str, bytes] = {}
    for part in found.parts:
        section, drawn = _section(request, part, found, observer)
        sections.append(section)
        pictures.update(drawn)
    report = new_report(made.family, made.weights, tuple(sections), made.reproduce)
    if request.out is not None:
        with atomic.new_folder(request.out) as scratch:
            write_report(report, scratch, pictures)
    return Outcome(
        out=request.out or found.folder,
        manifest=made,
        report=report,
        seconds=0.0,
        peak_bytes=0,
        status=Status.FAILED if changed else report.status,
        failures=changed,
    )


def _section(
    request: ValidateRequest, part: manifest.ComponentEntry, found: Converted, observer: Observer
) -> tuple[ComponentReport, Mapping[str, bytes]]:
    component, held, made = found.component(part.name), found.component_weights(part.name), found.manifest
    named = reference_kind(component).name if request.reference == JAX else request.reference
    observer.phase(f"{part.name}: run the reference ({named}) and {part.path}")
    evidence = gather(component, held, trial_batch(part.signature), observer.progress)
    if request.reference != JAX:
        other = _other(Path(request.reference), part)
        evidence = held_against(evidence, open_runner(other), f"{other.parent.name}/{other.name}")
    precision = found.family.options.precision
    judgement = judge(found.path(part), part.signature, evidence, precision, observer.phase)
    cost = Conversion(seconds=0.0, peak_bytes=None)
    facts = (made.artifact_format, made.dialect, precision)
    return component_report(part, judgement, facts, cost, made.weights_sha256), judgement.pictures


def _other(reference: Path, part: manifest.ComponentEntry) -> Path:
    """Return the model file to compare with: the one named, or the same component's in the folder that is named."""
    if (reference / manifest.NAME).is_file():
        found = [entry.path for entry in manifest.read(reference).components if entry.name == part.name]
        if found:
            return reference / found[0]
    if not reference.exists():
        raise UsageError(f"expected {JAX!r}, a model file or a folder of artifacts as reference, found {reference}")
    return reference
