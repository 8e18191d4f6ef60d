"""Compiling artifacts for a target: one verdict each, its record beside what the compiler made."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lwmport import atomic, plain
from lwmport.errors import ArtifactError, UsageError
from lwmport.manifest import ComponentEntry
from lwmport.pipeline.compile.calibration import SAMPLES, given_samples, made_samples
from lwmport.pipeline.compile.external_model import ModelFile, read_foreign
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.own_inputs import feeds_of
from lwmport.pipeline.reopen import Converted, find, folder_of
from lwmport.registry import load
from lwmport.requests import by_fields, check_types
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
    [samples, ...], or ``auto``: samples of the component, made anew. ``inputs`` is what to run on for a target that
    runs what it compiles: a .npz, a .jsonl or a folder of pictures.
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
    inputs: Path | None = None

    def __post_init__(self) -> None:
        """Refuse types that no field has."""
        check_types(self)

    @property
    def folder(self) -> Path:
        """The folder for results: beside the artifact, named after the target, unless one is given."""
        return self.out or folder_of(self.artifact) / self.target


@dataclass(frozen=True, kw_only=True)
class CompileOutcome:
    """What a vendor's compiler made of each artifact, and the folder that holds it."""

    out: Path
    compilations: tuple[Compilation, ...]

    @property
    def status(self) -> Status:
        """Failed if one failed, skipped if one was skipped, else passed."""
        return status_of(self.compilations)


@by_fields(CompileRequest)
def compile_models(request: CompileRequest, observer: Observer | None = None) -> CompileOutcome:
    """Compile a model file, or every model of a folder, for a target.

    Where the vendor's tool is not installed, the status is skipped, and the commands to run are in the outcome.


    Raises:
        PortError: as `compile_artifacts` does.
    """
    return CompileOutcome(out=request.folder, compilations=compile_artifacts(request, observer))


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
    names = ("extra", "inputs", "keep_float32", "pictures_as_bytes", "toolchain")
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
    found = find(request.artifact, request.checkpoint)
    if found is None:
        return [_foreign(request)]
    observer.phase(f"{', '.join(part.name for part in found.parts)}: digests of their files")
    changed = found.changed_files()
    if changed:
        raise ArtifactError(
            f"expected {found.folder / changed[0]} as it was converted, found none or another digest; convert again"
        )
    return [_own(request, found, part, observer) for part in found.parts]


def _own(request: CompileRequest, found: Converted, part: ComponentEntry, observer: Observer) -> CompileJob:
    calibration: Mapping[str, Array] | None = None
    if request.calibration == AUTO:
        observer.phase(f"{part.name}: make {SAMPLES} samples to quantise with")
        calibration = made_samples(found, part, next(iter(request.gears), {}))
    elif request.calibration:
        calibration = given_samples(Path(request.calibration), part.signature)
    model = ModelFile(
        path=found.path(part),
        name=part.name,
        format=found.manifest.artifact_format,
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
        inputs=feeds_of(request.inputs, model.signature.inputs) if request.inputs else (),
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
