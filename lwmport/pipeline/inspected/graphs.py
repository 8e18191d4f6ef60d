"""Model files of ONNX, TFLite and TensorFlow, whoever wrote them."""

from pathlib import Path
from typing import Final

from lwmport.pipeline.inspected.converted import converted_facts, next_of
from lwmport.pipeline.inspected.record import Inspection, Part, part_of, size_of, told
from lwmport.pipeline.reopen import find
from lwmport.targets.graphs.opening import open_graph
from lwmport.targets.graphs.record import Graph
from lwmport.targets.graphs.saved_model import read_saved_model
from lwmport.wire import Message, mapped
from lwmport.wording import few, shown

FORMATS: Final = {"onnx": "an ONNX model", "tflite": "a TFLite model", "frozen_graph": "a frozen graph of TensorFlow"}
"""Form of a graph -> what it is in words."""

PRODUCER: Final = {2: "producer", 3: "version"}
"""Fields of an ONNX ModelProto (onnx/onnx.proto)."""


def graph_file(path: Path) -> Inspection:
    """Return what a model file is."""
    graph = open_graph(path)
    found = find(path)
    facts = {
        "opset": ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in graph.opsets.items()),
        "producer": _producer(path) if graph.form == "onnx" else "",
        "constants": _constants(graph),
        "functions": few(shown(f"{domain}.{name}") for domain, name in graph.functions),
        "problems": few(shown(f"{problem.where}: {problem.found}") for problem in graph.problems),
        **(converted_facts(found.manifest) if found else {}),
    }
    beside = {constant.location for constant in graph.constants.values() if constant.location}
    external = [path.parent / name for name in sorted(beside) if (path.parent / name).is_file()]
    return Inspection(
        kind=FORMATS[graph.form] + (" that 'lwmport convert' wrote" if found else ""),
        path=path,
        facts=told(facts),
        bytes=graph.file_bytes + sum(file.stat().st_size for file in external),
        parts=(part_of(path.stem, graph.inputs, graph.outputs, _operators(graph), graph.public),),
        next=next_of(path, found.manifest) if found else _of_model(path),
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


def saved_model(path: Path) -> Inspection:
    """Return what a SavedModel is."""
    read, found = read_saved_model(path), find(path)
    facts = {
        "tags": few(map(shown, read.tags)),
        "producer": f"TensorFlow {shown(read.version)}" if read.version else "",
    }
    operators = dict(sorted(read.operators.items(), key=lambda item: (-item[1], item[0])))
    parts = [part_of(name, one.inputs, one.outputs, operators) for name, one in read.signatures.items()]
    return Inspection(
        kind="a SavedModel of TensorFlow" + (" that 'lwmport convert' wrote" if found else ""),
        path=path,
        facts=told({**facts, **(converted_facts(found.manifest) if found else {})}),
        bytes=size_of(path),
        parts=tuple(parts) or (Part(name=path.name, operators=operators),),
        next=next_of(path, found.manifest)
        if found
        else ("serve it with TensorFlow; targets take it as a frozen graph (.pb) or as ONNX, not as it is",),
    )


def _of_model(path: Path) -> tuple[str, ...]:
    return (
        f"hold it against a target's rules: lwmport check {path} --target TARGET",
        f"compile it: lwmport compile {path} --target TARGET",
    )
