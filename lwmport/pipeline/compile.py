"""Compiling artifacts for a target: one verdict each, its record beside what the compiler made."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lwmport import atomic, manifest, plain
from lwmport.errors import ArtifactError, UsageError
from lwmport.pipeline.calibration import SAMPLES, given_samples, made_samples
from lwmport.pipeline.observer import Observer, Silent
from lwmport.targets.compile import COMPILERS, PRECISIONS
from lwmport.targets.compile.ascend_nodes import with_nodes
from lwmport.targets.compile.devices import check_options
from lwmport.targets.compile.job import Gear, Job, check_ranks
from lwmport.targets.graphs.record import Value
from lwmport.types import Array, Compilation, Signature, Status, TensorSpec, dtype_of

AUTO: Final = "auto"
FORMATS: Final = {".onnx": "onnx", ".tflite": "tflite", ".pb": "frozen_graph", ".saved_model": "saved_model"}
"""Suffix of a model that no manifest describes -> its format."""


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


@dataclass(frozen=True, kw_only=True)
class _Model:
    """One model file and what is known of it."""

    path: Path
    name: str
    format: str
    signature: Signature
    operators: Mapping[str, int]
    public: Mapping[str, str] = field(default_factory=dict)


def compile_artifacts(request: CompileRequest, observer: Observer | None = None) -> tuple[Compilation, ...]:
    """Compile each artifact that the request names and return the verdicts.

    Raises:
        UsageError: target, device, precision or options are unknown or do not go together, or a node that is named is
            in none of the models.
        ArtifactError: there is no such artifact, or it is not the file that was converted.
    """
    observer = observer or Silent()
    compiler = COMPILERS[request.target]
    if request.calibration and request.target != "aipu":
        raise UsageError(f"expected --calibration with the target aipu, which quantises, found {request.target}")
    if request.checkpoint and request.calibration != AUTO:
        raise UsageError(f"expected --checkpoint with --calibration {AUTO}, found it without; leave it out")
    names = ("extra", "keep_float32", "pictures_as_bytes", "toolchain")
    check_options(request.target, {name: getattr(request, name) for name in names})
    jobs = with_nodes(_jobs(request, observer))
    found = []
    for job in jobs:
        observer.phase(f"{job.path.name}: compile for {request.target}")
        made: Compilation = compiler(job, request.folder)
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


def _jobs(request: CompileRequest, observer: Observer) -> list[Job]:
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
) -> Job:
    calibration: Mapping[str, Array] | None = None
    if request.calibration == AUTO:
        observer.phase(f"{part.name}: make {SAMPLES} samples to quantise with")
        calibration = made_samples(made, part, request.checkpoint, next(iter(request.gears), {}))
    elif request.calibration:
        calibration = given_samples(Path(request.calibration), part.signature)
    model = _Model(
        path=folder / part.path,
        name=part.name,
        format=made.artifact_format,
        signature=part.signature,
        operators=part.operators,
    )
    return _job(request, model, calibration)


def _foreign(request: CompileRequest) -> Job:
    """Return the job for a model that is not ours: its own inputs and outputs are its signature.

    What runs a file on the cpu has the names that callers use; a vendor's parser has those of the tensors.
    """
    from lwmport.targets.graphs.opening import open_graph

    path = request.artifact
    graph = open_graph(path)
    _check_inputs(path, graph.inputs)
    check_ranks(path, graph.inputs)
    public = graph.public if request.target == "cpu" else {}
    specs = [
        tuple(
            TensorSpec(name=public.get(value.name, value.name), shape=value.shape or (), dtype=value.dtype)
            for value in values
        )
        for values in (graph.inputs, graph.outputs)
    ]
    signature = Signature(inputs=specs[0], outputs=specs[1])
    if request.calibration == AUTO:
        raise UsageError(
            f"expected a folder of samples for {path}, which no manifest describes, found --calibration auto"
        )
    calibration = given_samples(Path(request.calibration), signature) if request.calibration else None
    operators = {operator: count for (_, operator), count in graph.operators.items()}
    model = _Model(
        path=path,
        name=path.stem,
        format=FORMATS[path.suffix],
        signature=signature,
        operators=operators,
        public=public,
    )
    return _job(request, model, calibration)


def _check_inputs(path: Path, inputs: Iterable[Value]) -> None:
    """Refuse a model with an input that is no tensor of numbers: no compiler takes it, and nothing can be fed."""
    for value in inputs:
        try:
            found = dtype_of(value.dtype) if value.dtype else None
        except TypeError:
            found = None
        if found is None or found.hasobject or found.kind in "SUMm":
            raise ArtifactError(
                f"{path}: expected inputs of numbers, found {value.name!r} of dtype {value.dtype or 'unknown'}; "
                f"give it a type, or cut the model behind it"
            )


def _job(request: CompileRequest, model: _Model, calibration: Mapping[str, Array] | None) -> Job:
    return Job(
        path=model.path,
        name=model.name,
        format=model.format,
        signature=model.signature,
        operators=model.operators,
        public=model.public,
        soc=request.soc,
        precision=request.precision or PRECISIONS[request.target],
        gears=request.gears,
        calibration=calibration,
        keep_float32=request.keep_float32,
        pictures_as_bytes=request.pictures_as_bytes,
        extra=request.extra,
        toolchain=request.toolchain,
        run=request.run,
    )
