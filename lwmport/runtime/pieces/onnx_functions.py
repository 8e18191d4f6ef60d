"""Local functions of an ONNX model, written out: each operator of a function's body in place of the call."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import onnx

DEEPEST: Final = 32
"""Functions within functions that are written out; a circle of calls ends there."""


class Written(NamedTuple):
    """A node, and where it comes from: the call and the node in the function, both empty for a node of the graph."""

    node: onnx.NodeProto
    call: str = ""
    inner: str = ""


def written_out(model: onnx.ModelProto) -> Iterator[Written]:
    """Yield the nodes of a model's graph, those of functions in place of their calls.

    A tensor of a function is called as the call's first output, with its own name behind it.
    """
    functions = {(item.domain, item.name): item for item in model.functions}
    for node in model.graph.node:
        for found in _expanded(node, functions, 0):
            yield Written(found, node.name, found.name) if found is not node else Written(node)


def _expanded(
    node: onnx.NodeProto, functions: Mapping[tuple[str, str], onnx.FunctionProto], depth: int
) -> Iterator[onnx.NodeProto]:
    function = functions.get((node.domain, node.op_type))
    if function is None or depth >= DEEPEST:
        yield node
        return
    names = dict.fromkeys(function.input, "") | dict(zip(function.input, node.input, strict=False))
    names |= {inner: outer for inner, outer in zip(function.output, node.output, strict=False) if outer}
    prefix = next(filter(None, node.output), node.name)
    for inner in function.node:
        for name in inner.output:
            if name:
                names.setdefault(name, f"{prefix}/{name}")
    given = {item.name: item for item in function.attribute_proto} | {item.name: item for item in node.attribute}
    for inner in function.node:
        made = onnx.NodeProto()
        made.CopyFrom(inner)
        _rename(made, names, given)
        yield from _expanded(made, functions, depth + 1)


def _rename(node: onnx.NodeProto, names: Mapping[str, str], given: Mapping[str, onnx.AttributeProto]) -> None:
    """Give a node the names and the settings of a call, and what lies within its bodies too."""
    for place, name in enumerate(node.input):
        node.input[place] = names.get(name, name)
    for place, name in enumerate(node.output):
        node.output[place] = names.get(name, name)
    kept = []
    for item in node.attribute:
        if item.ref_attr_name:
            if item.ref_attr_name in given:
                made = onnx.AttributeProto()
                made.CopyFrom(given[item.ref_attr_name])
                made.name = item.name
                kept.append(made)
            continue
        for body in (*([item.g] if item.HasField("g") else []), *item.graphs):
            own = {value.name for value in (*body.input, *body.initializer)}
            own.update(name for inner in body.node for name in inner.output)
            outer = {name: new for name, new in names.items() if name not in own}
            for inner in body.node:
                _rename(inner, outer, given)
            for value in body.output:
                value.name = outer.get(value.name, value.name)
        kept.append(item)
    items = [onnx.AttributeProto.FromString(item.SerializeToString()) for item in kept]
    del node.attribute[:]
    node.attribute.extend(items)
