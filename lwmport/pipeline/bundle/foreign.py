"""A bundle of a model file that is not ours: its golden outputs are ONNX Runtime's own, on the file itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

import lwmport
from lwmport import digest, extras, manifest, plain
from lwmport.errors import ArtifactError, UsageError
from lwmport.handoff import record, texts
from lwmport.handoff.record import ComponentSpec, Spec
from lwmport.handoff.staging import Staging
from lwmport.manifest import ComponentEntry, Manifest
from lwmport.models.spec import FamilySpec
from lwmport.pipeline.bundle.bundle_targets import MODELS, Device, check_files, compile_files, own_paths
from lwmport.pipeline.bundle.samples import Golden, Samples, alike, calibration_of, joined, observed, sample_of
from lwmport.pipeline.compile.external_model import ModelFile, read_foreign
from lwmport.pipeline.foreign_inputs import feeds_of
from lwmport.pipeline.observer import Observer
from lwmport.pipeline.reopen import find
from lwmport.runtime.given_inputs import GivenInputs
from lwmport.runtime.registry import open_runner
from lwmport.runtime.spec import RunnerContext
from lwmport.targets.compile.samples import samples as made_up
from lwmport.targets.graphs.opening import open_graph
from lwmport.targets.registry import TARGETS
from lwmport.types import Array, Dim, Preflight, Signature, TensorSpec, Tolerance

SUFFIX: Final = ".onnx"

THREADS: Final = 1
"""Threads that make the golden outputs: on any number the same bytes."""

SHARES: Final = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}
"""Precision -> the error that is allowed, as a share of the largest golden value of an output, and of the value itself:
those of a corrected copy (`lwmport.targets.fix.proof`)."""

FLOOR: Final = 1e-2
"""An output whose range is known counts as at least this share of it: a share of what is near 0 is next to nothing."""

NOTICE: Final = "The model is not lwmport's. It belongs to whoever made it."


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What is ready to be packed: everything in a zip but its own record.

    ``root`` is where the models lie. ``commands`` compile them, by component; ``preflights`` are what the target's
    rules say about them.
    """

    root: Path
    manifest: Manifest
    manifest_bytes: bytes
    spec: Spec
    commands: Mapping[str, tuple[str, ...]]
    preflights: tuple[Preflight, ...]


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """A model file of anybody's: what is known of it, its files, and what it is run on."""

    model: ModelFile
    paths: tuple[Path, ...]
    opset: int | None
    feeds: tuple[Mapping[str, Array], ...]
    titles: tuple[str, ...]
    counts: tuple[int, int]

    @property
    def notice(self) -> str:
        """NOTICE.txt."""
        spec = Spec(format="", target="", reference="", weights=_weights(self.model.path), components=())
        family = FamilySpec(name=self.model.name, components=(), notice=NOTICE)
        return texts.notice(spec, family, {}, lwmport.__version__, seeded=False)


def is_foreign(path: Path) -> bool:
    """Return whether a path is a model file that no manifest describes.

    Raises:
        ArtifactError: there is nothing.
    """
    return path.is_file() and find(path) is None


def open_foreign(path: Path, device: Device, wanted: tuple[Path | None, int, int]) -> Foreign:
    """Return a model file and what it is run on; nothing is run.

    ``wanted`` are the user's inputs, if any, how many golden samples there are at most, and how many for calibration.

    Raises:
        ArtifactError: it cannot be read, or a file that holds its weights is missing.
        UsageError: it is no ONNX, or does not take the inputs.
    """
    inputs, *counts = wanted
    if path.suffix != SUFFIX:
        raise UsageError(f"expected a folder that 'lwmport convert' wrote, or an ONNX file, found {path}")
    model = read_foreign(path, public_names=TARGETS[device.target].public_names)
    graph = open_graph(path)
    places = sorted({constant.location for constant in graph.constants.values() if constant.location})
    paths = tuple(path.parent / place for place in places)
    for file in paths:
        if not file.resolve().is_relative_to(path.parent.resolve()) or not file.is_file():
            raise ArtifactError(f"expected the weights of {path} at {file}, found none inside of its folder")
    gear = dict(next(iter(device.gears), {}))
    if inputs is None:
        feeds: tuple[Mapping[str, Array], ...] = (made_up(model.signature.inputs, gear),)
        titles: tuple[str, ...] = ("drawn pictures and seeded numbers",)
    else:
        given = GivenInputs(inputs)
        specs = tuple(_sized(spec, gear) for spec in model.signature.inputs)
        feeds = feeds_of(given, specs)[: sum(counts)]
        titles = tuple(f"{given.source}, sample {number}" for number in range(len(feeds)))
    opset = next((version for domain, version in graph.opsets.items() if not domain), None)
    return Foreign(
        model=model, paths=(path, *paths), opset=opset, feeds=feeds, titles=titles, counts=(counts[0], counts[1])
    )


def _sized(spec: TensorSpec, gear: Mapping[str, int]) -> TensorSpec:
    shape = tuple(gear.get(str(dim), dim) for dim in spec.shape)
    return TensorSpec(name=spec.name, shape=shape, dtype=spec.dtype)


def stage_foreign(found: Foreign, device: Device, staging: Staging, observer: Observer) -> Ready:
    """Run the model, and gather everything that goes into the zip but its record and its texts.

    Raises:
        ArtifactError: an output is not finite.
        RunnerError: ONNX Runtime refuses the model or the inputs.
        UsageError: the target's compiler does not take the model.
    """
    model = found.model
    root = model.path.parent
    (staging.folder / MODELS).symlink_to(root.absolute(), target_is_directory=True)
    for path in found.paths:
        staging.put(f"{MODELS}/{path.relative_to(root).as_posix()}", path)
    observer.phase(f"{model.name}: golden outputs by ONNX Runtime, {THREADS} thread")
    golden, runner = _golden(found)
    part = _entry(found, golden)
    made = _manifest(part)
    observer.phase(f"{model.name}: rules of {device.target}")
    preflight = check_files(staging, device, part, model.format, root)
    samples = Samples(golden=golden, calibration=alike(found.feeds[len(golden) :])[: found.counts[1]])
    observer.phase(f"{model.name}: compiler of {device.target}")
    with own_paths(staging, root):
        commands = compile_files(
            staging, device, part, model.format, joined(samples), own=False, quantised=model.quantised
        )
    spec = Spec(
        format=record.SPEC_FORMAT,
        target=device.target,
        reference=f"{runner} on the model file itself, on a CPU; not JAX",
        weights=_weights(model.path),
        components=(_component(staging, part, samples, model.scales),),
    )
    return Ready(
        root=root,
        manifest=made,
        manifest_bytes=json.dumps(plain.encode(made), indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n",
        spec=spec,
        commands={part.name: commands},
        preflights=() if preflight is None else (preflight,),
    )


def _golden(found: Foreign) -> tuple[tuple[Golden, ...], str]:
    """Return the golden runs, and the name of what made them."""
    golden = []
    runner = open_runner(found.model.path, RunnerContext(threads=THREADS))
    try:
        for title, feed in zip(found.titles[: found.counts[0]], found.feeds, strict=False):
            outputs = runner.run(feed)
            for name, array in outputs.items():
                if array.dtype.kind == "f" and not np.isfinite(array).all():
                    raise ArtifactError(
                        f"expected finite golden outputs of {found.model.path}, found NaN or infinite ones in {name} "
                        f"for {title}; give other --inputs"
                    )
            golden.append(Golden(title=title, inputs=feed, outputs=outputs, relevant={}, quantized={}))
    finally:
        runner.close()
    return tuple(golden), f"{runner.name} {extras.versions().get('onnxruntime', '')}".strip()


def _entry(found: Foreign, golden: tuple[Golden, ...]) -> ComponentEntry:
    model, root = found.model, found.model.path.parent
    outputs = tuple(_output(spec, [one.outputs[spec.name] for one in golden]) for spec in model.signature.outputs)
    files = tuple(manifest.file_entry(root, path) for path in found.paths)
    return ComponentEntry(
        name=model.name,
        path=model.path.name,
        files=files,
        signature=Signature(inputs=model.signature.inputs, outputs=outputs),
        operators=dict(model.operators),
        details={} if found.opset is None else {"opset": found.opset},
        program_sha256=files[0].sha256,
    )


def _output(spec: TensorSpec, arrays: list[Array]) -> TensorSpec:
    """Return an output as it is: a size that the file tells wrong or not at all is named where it differs."""
    first = arrays[0]
    told = spec.shape if len(spec.shape) == first.ndim else ("",) * first.ndim
    shape: list[Dim] = []
    for axis, dim in enumerate(told):
        sizes = {array.shape[axis] for array in arrays}
        alone = next(iter(sizes))
        shape.append(dim if isinstance(dim, str) and dim else alone if len(sizes) == 1 else f"{spec.name}_{axis}")
    return TensorSpec(name=spec.name, shape=tuple(shape), dtype=first.dtype.name)


def _manifest(part: ComponentEntry) -> Manifest:
    return Manifest(
        format=manifest.FORMAT,
        lwmport=lwmport.__version__,
        artifact_format=SUFFIX[1:],
        dialect="",
        component=part.name,
        family="",
        config={},
        options={},
        weights={"kind": "file", "description": part.path},
        weights_sha256=part.files[0].sha256,
        components=(part,),
        verdict="not validated",
        versions=extras.versions(),
        reproduce=(),
    )


def _component(staging: Staging, part: ComponentEntry, samples: Samples, scales: Mapping[str, float]) -> ComponentSpec:
    precisions = {spec.name: _tolerances(spec, samples, scales.get(spec.name, 0.0)) for spec in part.signature.outputs}
    return ComponentSpec(
        name=part.name,
        model=f"{MODELS}/{part.path}",
        format=SUFFIX[1:],
        precision="float32",
        inputs=part.signature.inputs,
        outputs=part.signature.outputs,
        processing={},
        observed=observed(samples.golden),
        tolerances=precisions,
        codes={},
        samples=tuple(sample_of(staging, part.name, number, one) for number, one in enumerate(samples.golden)),
        calibration=calibration_of(staging, part.name, samples.calibration),
    )


def _tolerances(spec: TensorSpec, samples: Samples, scale: float) -> dict[str, Tolerance]:
    """Return how far an output may be off, by precision: of a model that is not ours nothing but its values tells it.

    ``scale`` is the largest magnitude that the output can have, 0 if that is not known.
    """
    arrays = [one.outputs[spec.name] for one in samples.golden]
    if arrays[0].dtype.kind != "f":
        exact = Tolerance(atol=0.0, rtol=0.0, why="Integers and flags name something: the next one is another.")
        return dict.fromkeys(SHARES, exact)
    largest = float(max(np.abs(array.astype(np.float64)).max(initial=0.0) for array in arrays))
    peak = max(largest, FLOOR * scale)
    told = f"the largest golden value, {peak:.4g}," if peak == largest else f"{peak:g}, a hundredth of its range,"
    return {
        name: Tolerance(
            atol=share * peak,
            rtol=share,
            why=f"{share:g} of {told} and of the value: nothing else is known of a model that is not ours.",
        )
        for name, share in SHARES.items()
    }


def _weights(path: Path) -> str:
    return f"{path.name}, sha256 {digest.of_file(path)}"
