"""Operators that ONNX's shape inference does not know, or dies of: what it is given in their place."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import onnx

StandIn: TypeAlias = Callable[[onnx.NodeProto], Iterable[onnx.NodeProto]]

LEARNING: Final = "ai.onnx.ml"
SECOND: Final = 2
ONLY_FIRST: Final = frozenset({"LabelEncoder"})
"""Operators of the domain `LEARNING` that are mended from its version `SECOND` on."""

LIKE_OPERAND: Final = {
    ("npu", "NPUAddRmsNorm"): (0, 2),
    ("npu", "NPUFastGelu"): (0,),
    ("npu", "NPUGroupNormSilu"): (0,),
    ("npu", "NPURmsNorm"): (0,),
    ("npu", "NPURotaryMul"): (0,),
}
"""Operators that ONNX does not know -> those of their outputs that have dtype and shape of the first operand."""


def with_stand_ins(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with operators that inference knows, and that nothing computes, for those that it does not.

    What would end the process, an operand without a type in ONNX 1.23, is replaced in bodies and local functions too.
    """
    fatal = _fatal(model)
    if not any(node.op_type in fatal or _is_like(node) for nodes in _all_nodes(model) for node in nodes):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for nodes in list(_all_nodes(copy)):
        made = [stand_in for node in nodes for stand_in in _stand_ins(node, fatal)]
        del nodes[:]
        nodes.extend(made)
    return copy


def _fatal(model: onnx.ModelProto) -> Mapping[str, StandIn]:
    """Return what stands for the operators that may end the process, of those that the model's opsets make so."""
    records = (model, *model.functions)
    versions = (item.version for record in records for item in record.opset_import if item.domain == LEARNING)
    first = any(version < SECOND for version in versions)
    return FATAL if first else {name: made for name, made in FATAL.items() if name not in ONLY_FIRST}


def _is_like(node: onnx.NodeProto) -> bool:
    return (node.domain, node.op_type) in LIKE_OPERAND


def _all_nodes(model: onnx.ModelProto) -> Iterator[Any]:
    """Yield the list of nodes of every graph, those inside of others first."""
    for nodes in (*(function.node for function in model.functions), model.graph.node):
        yield from _nested(nodes)


def _nested(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        for item in node.attribute:
            for graph in (*([item.g] if item.HasField("g") else []), *item.graphs):
                yield from _nested(graph.node)
    yield nodes


def _stand_ins(node: onnx.NodeProto, fatal: Mapping[str, StandIn]) -> Iterable[onnx.NodeProto]:
    if node.op_type in fatal:
        return fatal[node.op_type](node)
    if not _is_like(node):
        return [node]
    alike = LIKE_OPERAND[node.domain, node.op_type] if node.input else ()
    places = [node.output[place] for place in alike if place < len(node.output) and node.output[place]]
    return [onnx.helper.make_node("Relu", node.input[:1], [name]) for name in places] or [node]


def _flags(node: onnx.NodeProto) -> Iterable[onnx.NodeProto]:
    return [onnx.helper.make_node("Cast", node.input[:1], node.output[:1], to=onnx.TensorProto.BOOL)]


def _left_out(_: onnx.NodeProto) -> Iterable[onnx.NodeProto]:
    return []


FATAL: Final[Mapping[str, StandIn]] = {
    "RegexFullMatch": _flags,
    "DictVectorizer": _left_out,
    "LabelEncoder": _left_out,
}
"""Operators whose inference reads the type of an operand that may have none (every operator of ONNX 1.23 was tried)."""
