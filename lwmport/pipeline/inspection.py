"""What a file or a folder is: a model, a bundle, a checkpoint; what it says of itself, and what to do with it next.

Nothing in it is executed, and no weight is loaded.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lwmport import manifest
from lwmport.checkpoints.description import described
from lwmport.checkpoints.folders import ADAPTER, DESCRIBED
from lwmport.checkpoints.gguf import MAGIC, read_header
from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.lora import open_adapter, recorded_base
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.errors import ArtifactError, CheckpointError
from lwmport.handoff import record
from lwmport.handoff.opening import Archive
from lwmport.manifest import Manifest
from lwmport.models.specs import looks_like
from lwmport.pipeline.assemble import package
from lwmport.pipeline.assemble.package import open_package
from lwmport.pipeline.reopen import find, folder_of
from lwmport.runtime.registry import takers
from lwmport.targets.graphs.opening import READERS, is_saved_model, open_graph
from lwmport.targets.graphs.record import Graph, Value
from lwmport.targets.graphs.saved_model import read_saved_model
from lwmport.types import Dim, TensorSpec
from lwmport.wire import Message, mapped
from lwmport.wording import few, shown

LARGEST: Final = 64 << 20
"""Bytes of a record in a bundle."""

FORMATS: Final = {"onnx": "an ONNX model", "tflite": "a TFLite model", "frozen_graph": "a frozen graph of TensorFlow"}
"""Form of a graph -> what it is in words."""

PRODUCER: Final = {2: "producer", 3: "version"}
"""Fields of an ONNX ModelProto (onnx/onnx.proto)."""


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input or an output; ``shape`` is None where the file does not say."""

    name: str
    dtype: str
    shape: tuple[Dim, ...] | None


@dataclass(frozen=True, kw_only=True)
class Part:
    """One model of several, or the one: its tensors, and how many there are of each operator."""

    name: str
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    operators: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What is at a path.

    Attributes:
        kind: what it is, in a few words.
        path: where.
        facts: what it says of itself: opset, dialect, producer and the like, by name.
        bytes: of all its files.
        parts: the models in it.
        checkpoint: its tensors, where it is a checkpoint.
        known: what is known of a checkpoint beside them (`lwmport.checkpoints.description.described`).
        next: what can be done with it, a line each.
    """

    kind: str
    path: Path
    facts: Mapping[str, str] = field(default_factory=dict)
    bytes: int = 0
    parts: tuple[Part, ...] = ()
    checkpoint: Checkpoint | None = None
    known: Mapping[str, Any] = field(default_factory=dict)
    next: tuple[str, ...] = ()


def inspect(text: str) -> Inspection:
    """Return what is at a path, which may have a checkpoint's prefix.

    Raises:
        PortError: there is nothing, or what is there is damaged or unknown.
    """
    path = Path(text)
    look = _look_of(path) if path.exists() else None
    return _checkpoint(text) if look is None else look(path)


def _look_of(path: Path) -> Callable[[Path], Inspection] | None:
    """Return what looks at a path; None where it can only be a checkpoint."""
    if path.is_dir():
        return next((look for is_it, look in _FOLDERS if is_it(path)), None)
    if path.suffix.lower() in READERS:
        return _graph
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
        if head == MAGIC:
            return _gguf
    if path.suffix.lower() == ".zip":
        return _bundle
    return _compiled if path.is_file() and takers(path.suffix) else None


def _graph(path: Path) -> Inspection:
    graph = open_graph(path)
    found = find(path)
    facts = {
        "opset": ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in graph.opsets.items()),
        "producer": _producer(path) if graph.form == "onnx" else "",
        "constants": _constants(graph),
        "functions": few(shown(f"{domain}.{name}") for domain, name in graph.functions),
        "problems": few(shown(f"{problem.where}: {problem.found}") for problem in graph.problems),
        **(_converted_facts(found.manifest) if found else {}),
    }
    beside = {constant.location for constant in graph.constants.values() if constant.location}
    external = [path.parent / name for name in sorted(beside) if (path.parent / name).is_file()]
    return Inspection(
        kind=FORMATS[graph.form] + (" that 'lwmport convert' wrote" if found else ""),
        path=path,
        facts=_told(facts),
        bytes=graph.file_bytes + sum(file.stat().st_size for file in external),
        parts=(_part(path.stem, graph.inputs, graph.outputs, _operators(graph), graph.public),),
        next=_of_converted(path, found.manifest) if found else _of_model(path),
    )


def _producer(path: Path) -> str:
    data = mapped(path)
    texts = {item.number: data[item.start : item.end].decode("utf-8", "replace") for item in Message(data, 0, len(data))
             if item.number in PRODUCER}  # fmt: skip
    return shown(" ".join(texts[number] for number in PRODUCER if texts.get(number)))


def _constants(graph: Graph) -> str:
    """Return how many constants there are, how large, and where they lie."""
    inside = sum(constant.nbytes for constant in graph.constants.values() if not constant.location)
    files: dict[str, int] = {}
    for constant in graph.constants.values():
        if constant.location:
            files[constant.location] = files.get(constant.location, 0) + constant.nbytes
    places = [f"{inside:,} bytes inside"] if inside or not files else []
    for name, size in sorted(files.items()):
        state = "" if (graph.path.parent / name).is_file() else ", which is missing"
        places.append(f"{size:,} bytes in {shown(name)}{state}")
    return f"{len(graph.constants):,}, {few(places)}"


def _operators(graph: Graph) -> dict[str, int]:
    counted = {f"{domain}.{name}" if domain else name: count for (domain, name), count in graph.operators.items()}
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _part(
    name: str,
    inputs: Iterable[Value | TensorSpec],
    outputs: Iterable[Value | TensorSpec],
    operators: Mapping[str, int],
    public: Mapping[str, str] | None = None,
) -> Part:
    names = public or {}
    sides = [
        tuple(Tensor(name=shown(names.get(one.name, one.name)), dtype=one.dtype, shape=one.shape) for one in values)
        for values in (inputs, outputs)
    ]
    return Part(name=shown(name), inputs=sides[0], outputs=sides[1], operators=operators)


def _saved_model(path: Path) -> Inspection:
    read, found = read_saved_model(path), find(path)
    facts = {
        "tags": few(map(shown, read.tags)),
        "producer": f"TensorFlow {shown(read.version)}" if read.version else "",
    }
    operators = dict(sorted(read.operators.items(), key=lambda item: (-item[1], item[0])))
    parts = [_part(name, one.inputs, one.outputs, operators) for name, one in read.signatures.items()]
    return Inspection(
        kind="a SavedModel of TensorFlow" + (" that 'lwmport convert' wrote" if found else ""),
        path=path,
        facts=_told({**facts, **(_converted_facts(found.manifest) if found else {})}),
        bytes=_size(path),
        parts=tuple(parts) or (Part(name=path.name, operators=operators),),
        next=_of_converted(path, found.manifest)
        if found
        else ("serve it with TensorFlow; targets take it as a frozen graph (.pb) or as ONNX, not as it is",),
    )


def _converted(path: Path) -> Inspection:
    made = manifest.read(path)
    parts = [
        _part(f"{part.name}: {part.path}", part.signature.inputs, part.signature.outputs, part.operators)
        for part in made.components
    ]
    return Inspection(
        kind="models that 'lwmport convert' wrote",
        path=path,
        facts=_converted_facts(made),
        bytes=_size(path),
        parts=tuple(parts),
        next=_of_converted(path, made),
    )


def _assembled(path: Path) -> Inspection:
    found = open_package(path)
    language = _converted(found.language)
    verdicts = ", ".join(f"{name} {verdict}" for name, verdict in found.record.verdicts.items())
    return Inspection(
        kind="a model that 'lwmport assemble' made",
        path=path,
        facts={**language.facts, "verdict": verdicts, "producer": f"lwmport {found.record.lwmport}"},
        bytes=_size(path),
        parts=language.parts,
        next=(f"ask it: lwmport chat {path}", *language.next),
    )


def _converted_facts(made: Manifest) -> dict[str, str]:
    opsets = dict.fromkeys(str(part.details["opset"]) for part in made.components if "opset" in part.details)
    facts = {
        "component": made.component,
        "format": made.artifact_format,
        "dialect": made.dialect,
        "opset": ", ".join(opsets),
        "options": ", ".join(f"{name} {value}" for name, value in made.options.items()),
        "weights": str(made.weights.get("description", "")),
        "verdict": made.verdict,
        "phases": ", ".join(f"{phase}: {component}" for phase, component in made.phases.items()),
        "producer": f"lwmport {made.lwmport}",
    }
    return _told({name: shown(value) if name == "weights" else value for name, value in facts.items()})


def _bundle(path: Path) -> Inspection:
    with Archive(path) as archive:
        if record.NAME not in archive.entries or record.SPEC_NAME not in archive.entries:
            raise ArtifactError(f"expected {record.NAME} in {path}, found none; is this a bundle of ours?")
        return _of_bundle(path, lambda name: archive.read(name, LARGEST), path.stat().st_size)


def _unpacked(path: Path) -> Inspection:
    def read(name: str) -> bytes:
        if (path / name).stat().st_size > LARGEST:
            raise ArtifactError(f"{path}: expected {name} of at most {LARGEST} bytes, found more")
        return (path / name).read_bytes()

    found = _of_bundle(path, read, _size(path))
    advice = (f"run its models here: python {path / record.CHECKER}",)
    return Inspection(**{**vars(found), "kind": "an unpacked bundle", "next": advice})


def _of_bundle(path: Path, read: Callable[[str], bytes], size: int) -> Inspection:
    bundle, spec = (
        record.unseal(read(record.NAME), record.NAME),
        record.read_spec(read(record.SPEC_NAME), record.SPEC_NAME),
    )
    parts = [_part(f"{part.name}: {part.model}", part.inputs, part.outputs, {}) for part in spec.components]
    facts = {
        "target": bundle.target,
        "format": ", ".join(dict.fromkeys(part.format for part in spec.components)),
        "precision": ", ".join(dict.fromkeys(part.precision for part in spec.components)),
        "samples": ", ".join(f"{len(part.samples)} of {part.name}" for part in spec.components),
        "weights": spec.weights,
        "reference": spec.reference,
        "files": str(len(bundle.files) + 1),
        "producer": f"lwmport {bundle.lwmport}",
    }
    return Inspection(
        kind=f"a bundle for {bundle.target}",
        path=path,
        facts=_told({name: shown(value) for name, value in facts.items()}),
        bytes=size,
        parts=tuple(parts),
        next=(f"check its digests and run its models: lwmport verify {path}",),
    )


def _adapter(path: Path) -> Inspection:
    adapter, base = open_adapter(path), recorded_base(path)
    facts = {
        "base": str(adapter.config.get("base_model_name_or_path") or ""),
        "rank": str(adapter.config.get("r", "")),
        "alpha": str(adapter.config.get("lora_alpha", "")),
        "tensors": str(len(adapter.tensors.specs)),
    }
    source = str(path) if base else f"BASE --adapter {path}"
    return Inspection(
        kind="a LoRA adapter",
        path=path,
        facts=_told({name: shown(value) for name, value in facts.items()}),
        bytes=adapter.tensors.total_bytes,
        next=(f"merge it into its model: lwmport checkpoint convert {source} --to hf --out MERGED",),
    )


def _gguf(path: Path) -> Inspection:
    header = read_header(path)
    architecture = header.keys.get("general.architecture", "")
    facts = {
        "version": str(header.version),
        "architecture": str(architecture),
        "name": str(header.keys.get("general.name", "")),
        "tensors": ", ".join(f"{count} {kind}" for kind, count in header.tensors.items()),
        **{
            name.removeprefix(f"{architecture}."): str(value)
            for name, value in header.keys.items()
            if architecture and name.startswith(f"{architecture}.") and not str(value).endswith(" values")
        },
    }
    return Inspection(
        kind="a GGUF file, for inference with ggml",
        path=path,
        facts=_told({name: shown(value) for name, value in facts.items()}),
        bytes=path.stat().st_size,
        next=(
            f"convert it: lwmport convert --component {_component(path) or 'COMPONENT'} --to onnx --checkpoint {path}",
        ),
    )


def _component(path: Path) -> str:
    """Return the component that a GGUF file holds; nothing if it is none of ours."""
    try:
        return looks_like(open_checkpoint(path).specs)
    except CheckpointError:
        return ""


def _compiled(path: Path) -> Inspection:
    runners = takers(path.suffix)
    facts = {"runners": ", ".join(runner.name for runner in runners)}
    return Inspection(
        kind=f"a file that {runners[0].title} runs" if len(runners) == 1 else "a file for a runtime",
        path=path,
        facts=facts,
        bytes=path.stat().st_size,
        next=(f"run it beside its reference: lwmport validate {path} --runner {runners[0].name}",),
    )


def _checkpoint(text: str) -> Inspection:
    found = open_checkpoint(text)
    component, known = looks_like(found.specs), described(found)
    facts = {
        "format": found.format,
        "tensors": f"{len(found.specs):,}",
        "parameters": f"{sum(math.prod(spec.shape) for spec in found.specs.values()):,}",
        "dtypes": ", ".join(dict.fromkeys(spec.dtype for spec in found.specs.values())),
        "looks like": component,
        "config": ", ".join(f"{name} {value}" for name, value in found.config.items()),
    }
    untold = component and not found.config and "beside" not in known
    config = f" --config {next(iter(known.get('fits', ())), 'NAME')}" if untold else ""
    line = f"convert it: lwmport convert --component {component or 'COMPONENT'} --to onnx --checkpoint {text}{config}"
    return Inspection(
        kind=DESCRIBED.get(found.format, f"a checkpoint ({found.format})"),
        path=found.path,
        facts=_told(facts),
        bytes=found.total_bytes,
        checkpoint=found,
        known=known,
        next=(line,),
    )


def _of_model(path: Path) -> tuple[str, ...]:
    return (
        f"hold it against a target's rules: lwmport check {path} --target TARGET",
        f"compile it: lwmport compile {path} --target TARGET",
    )


def _of_converted(path: Path, made: Manifest) -> tuple[str, ...]:
    checkpoint = "" if made.weights.get("kind") == "seeded" else " --checkpoint CHECKPOINT"
    return (
        f"judge it again: lwmport validate {path}{checkpoint}",
        f"hand it over: lwmport bundle {folder_of(path)} --target TARGET --out FILE.zip{checkpoint}",
    )


def _is_converted(path: Path) -> bool:
    return (path / manifest.NAME).is_file()


def _is_assembled(path: Path) -> bool:
    return (path / package.NAME).is_file() and _is_converted(path / package.LANGUAGE)


def _is_unpacked(path: Path) -> bool:
    return (path / record.NAME).is_file() and (path / record.SPEC_NAME).is_file()


def _is_adapter(path: Path) -> bool:
    return (path / ADAPTER).is_file() and not (path / "config.json").exists()


_FOLDERS: Final[tuple[tuple[Callable[[Path], bool], Callable[[Path], Inspection]], ...]] = (
    (is_saved_model, _saved_model),
    (_is_unpacked, _unpacked),
    (_is_converted, _converted),
    (_is_assembled, _assembled),
    (_is_adapter, _adapter),
)
"""Whether a folder is one of these, and what looks at it; the first that fits."""


def _told(facts: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in facts.items() if value}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
