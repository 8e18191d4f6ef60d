"""Compiling artifacts for a target: one verdict each, its record beside what the compiler made."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lwmport import atomic, manifest, plain
from lwmport.errors import ArtifactError, UsageError
from lwmport.pipeline.compile.calibration import SAMPLES, given_samples, made_samples
from lwmport.pipeline.compile.external_model import ModelFile, read_foreign
from lwmport.pipeline.observer import Observer, Silent
from lwmport.registry import load
from lwmport.targets.compile.devices import check_calibration, check_options
from lwmport.targets.compile.job import CompileJob, Gear
from lwmport.targets.compile.tools import installed
from lwmport.targets.registry import TARGETS
from lwmport.types import Array, Compilation, Status

AUTO: Final = "auto"


@dataclass(frozen=True, kw_only=True)
class CompileRequest:
    """What to compile, for which target and device, how, and where it goes.

    ``artifact`` is a model file or a folder with a manifest. ``calibration`` is a folder with INPUT.npy files, each
    [samples, ...], or ``auto``: samples of the component, made anew.
    """

    artifact: Path
    target: str
    out: Path | None = None
    soc: str | None = None
    precision: str | None = None
    toolchain: Path | None = None
    calibration: str | None = None
    checkpoint: str | None = None
    gears: tuple[Gear, ...] = ()
    keep_float32: tuple[str, ...] = ()
    pictures_as_bytes: bool = False
    extra: tuple[str, ...] = ()
    run: bool = True

    @property
    def folder(self) -> Path:
        """The folder for results: beside the artifact, named after the target, unless one is given."""
        inside = self.artifact if (self.artifact / manifest.NAME).is_file() else self.artifact.parent
        return self.out or inside / self.target


def compile_artifacts(request: CompileRequest, observer: Observer | None = None) -> tuple[Compilation, ...]:
    """Compile each artifact that the request names and return the verdicts.

    Raises:
        UsageError: target, device, precision or options are unknown or do not go together, a node that is named is
            in none of the models, or the toolchain that is named is none.
        ArtifactError: there is no such artifact, or it is not the file that was converted.
    """
    observer = observer or Silent()
    target = TARGETS[request.target]
    if request.calibration:
        check_calibration(request.target)
    if request.checkpoint and request.calibration != AUTO:
        raise UsageError(f"expected --checkpoint with --calibration {AUTO}, found it without; leave it out")
    names = ("extra", "keep_float32", "pictures_as_bytes", "toolchain")
    check_options(request.target, {name: getattr(request, name) for name in names})
    if request.run and request.toolchain is not None:
        installed(request.target, request.toolchain)
    jobs = _jobs(request, observer)
    if target.prepare:
        jobs = load(target.prepare)(jobs)
    found = []
    for job in jobs:
        observer.phase(f"{job.path.name}: compile for {request.target}")
        made = target.compile_artifact(job, request.folder)
        _write(made, request.folder)
        found.append(made)
    return tuple(found)


def status_of(compilations: tuple[Compilation, ...]) -> Status:
    """Return the verdict on all: failed if one failed, skipped if one was skipped, else passed."""
    found = {compilation.status for compilation in compilations}
    return next(status for status in (Status.FAILED, Status.SKIPPED, Status.PASSED) if status in found)


def _write(made: Compilation, folder: Path) -> None:
    text = json.dumps(plain.encode(made), indent=1, ensure_ascii=False, allow_nan=False)
    with atomic.new_file(folder / f"{made.component}.compilation.json") as file:
        file.write(text.encode() + b"\n")


def _jobs(request: CompileRequest, observer: Observer) -> list[CompileJob]:
    path = request.artifact
    folder = path if (path / manifest.NAME).is_file() else path.parent
    if not path.exists():
        raise ArtifactError(f"expected a model file or a folder of artifacts, found nothing at {path}")
    if not (folder / manifest.NAME).is_file():
        return [_foreign(request)]
    made = manifest.read(folder)
    parts = [part for part in made.components if path == folder or folder / part.path == path]
    if not parts:
        return [_foreign(request)]
    observer.phase(f"{', '.join(part.name for part in parts)}: digests of their files")
    changed = manifest.changed_files(parts, folder)
    if changed:
        raise ArtifactError(
            f"expected {folder / changed[0]} as it was converted, found none or another digest; convert again"
        )
    return [_own(request, made, part, folder, observer) for part in parts]


def _own(
    request: CompileRequest,
    made: manifest.Manifest,
    part: manifest.ComponentEntry,
    folder: Path,
    observer: Observer,
) -> CompileJob:
    calibration: Mapping[str, Array] | None = None
    if request.calibration == AUTO:
        observer.phase(f"{part.name}: make {SAMPLES} samples to quantise with")
        calibration = made_samples(made, part, request.checkpoint, next(iter(request.gears), {}))
    elif request.calibration:
        calibration = given_samples(Path(request.calibration), part.signature)
    model = ModelFile(
        path=folder / part.path,
        name=part.name,
        format=made.artifact_format,
        signature=part.signature,
        operators=part.operators,
    )
    return _job(request, model, calibration)


def _foreign(request: CompileRequest) -> CompileJob:
    """Return the job for a model that is not ours."""
    model = read_foreign(request.artifact, public_names=TARGETS[request.target].public_names)
    names = [f"{spec.name}.npy" for spec in model.signature.inputs]
    if request.calibration == AUTO:
        raise UsageError(
            f"expected --calibration DIR with {', '.join(names)} for {request.artifact}, which no manifest describes, "
            f"found {AUTO}, which makes samples for models of lwmport's own"
        )
    return _job(
        request, model, given_samples(Path(request.calibration), model.signature) if request.calibration else None
    )


def _job(request: CompileRequest, model: ModelFile, calibration: Mapping[str, Array] | None) -> CompileJob:
    return CompileJob(
        path=model.path,
        name=model.name,
        format=model.format,
        signature=model.signature,
        operators=model.operators,
        public=model.public,
        own=model.own,
        quantised=model.quantised,
        soc=request.soc,
        precision=request.precision or TARGETS[request.target].precision,
        gears=request.gears,
        calibration=calibration,
        keep_float32=request.keep_float32,
        pictures_as_bytes=request.pictures_as_bytes,
        extra=request.extra,
        toolchain=request.toolchain,
        run=request.run,
    )
