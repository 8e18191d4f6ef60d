"""Names that a body gives to a value although a graph around it has one of that name: ONNX wants each name once."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import onnx

from lwmport import atomic


def mend_shadows(path: Path) -> int:
    """Write a model anew with fresh names where bodies shadow a graph around them; return how many there were.

    Only names change, so the model computes what it did. Large tensors stay in the files that they are in.
    """
    model = onnx.load(str(path), load_external_data=False)
    count = rename_shadows(model.graph)
    if count:
        with atomic.new_file(path) as file:
            file.write(model.SerializeToString(deterministic=True))
    return count


def keep_inputs(path: Path, names: Collection[str]) -> None:
    """Write a model anew without inputs that are not named: IR version 3 lists weights, those folded away too."""
    model = onnx.load(str(path), load_external_data=False)
    kept = [value for value in model.graph.input if value.name in names]
    if len(kept) == len(model.graph.input):
        return
    copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in kept]
    del model.graph.input[:]
    model.graph.input.extend(copies)
    model.ir_version = max(model.ir_version, 4)  # the first in which a weight need be no input
    with atomic.new_file(path) as file:
        file.write(model.SerializeToString(deterministic=True))


def rename_shadows(graph: onnx.GraphProto) -> int:
    """Rename in place what bodies of a main graph shadow, and return how many names that were."""
    return _rename(graph, frozenset(), {}, set(_names(graph)))


def _rename(graph: onnx.GraphProto, above: frozenset[str], spelled: Mapping[str, str], taken: set[str]) -> int:
    own = {name for node in graph.node for name in node.output if name}
    fresh = {name: _fresh(name, taken) for name in sorted(own & above)}
    spelled = {name: other for name, other in spelled.items() if name not in own} | fresh
    around = above | own | {value.name for value in (*graph.input, *graph.initializer)}
    count = len(fresh)
    for node in graph.node:
        node.input[:] = [spelled.get(name, name) for name in node.input]
        node.output[:] = [spelled.get(name, name) for name in node.output]
        count += sum(_rename(body, around, spelled, taken) for body in _bodies(node))
    for value in (*graph.output, *graph.value_info):
        value.name = spelled.get(value.name, value.name)
    return count


def _fresh(name: str, taken: set[str]) -> str:
    found = next(other for number in range(2, len(taken) + 3) if (other := f"{name}_{number}") not in taken)
    taken.add(found)
    return found


def _names(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (value.name for value in (*graph.input, *graph.initializer))
    for node in graph.node:
        yield from (*node.input, *node.output)
        for body in _bodies(node):
            yield from _names(body)


def _bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for item in node.attribute:
        yield from item.graphs
        if item.HasField("g"):
            yield item.g
