"""Computing what does not depend on the inputs, as far as it is small, and dropping what nobody reads."""

from math import prod
from typing import Any, Final

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from lwmport.targets.fix.draft import Draft, attribute
from lwmport.targets.graphs.record import SMALL
from lwmport.types import Array

FOLDED: Final = frozenset(
    [
        "Abs",
        "Add",
        "And",
        "Cast",
        "Ceil",
        "Clip",
        "Concat",
        "ConstantOfShape",
        "Cos",
        "Div",
        "Equal",
        "Exp",
        "Expand",
        "Floor",
        "Gather",
        "GatherND",
        "Greater",
        "GreaterOrEqual",
        "Identity",
        "Less",
        "LessOrEqual",
        "Log",
        "Max",
        "Min",
        "Mod",
        "Mul",
        "Neg",
        "Not",
        "Or",
        "Pow",
        "Range",
        "Reciprocal",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "Reshape",
        "Shape",
        "Sin",
        "Size",
        "Slice",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Tile",
        "Transpose",
        "Trilu",
        "Unsqueeze",
        "Where",
        "Xor",
    ]
)
"""Operators that are computed here; each makes an output whose size is known before it is made."""


def fold(draft: Draft) -> None:
    """Replace nodes that depend on constants alone by constants, until none is left."""
    total = 0
    constants_to_initializers(draft)
    while True:
        count = draft.rewrite(_fold_one)
        total += count
        if not count:
            break
    if total:
        draft.notes.append(f"computed {total} nodes that depend on no input")


def _fold_one(draft: Draft, graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
    if node.op_type not in FOLDED or node.domain not in {"", "ai.onnx"} or len(node.output) != 1:
        return None
    if not _bounded(draft, node.output[0]) or _is_output(draft, node.output[0]):
        return None
    value = _shape_of(draft, node) if node.op_type in {"Shape", "Size"} else _computed(draft, node)
    if value is None:
        return None
    graph.initializer.append(onnx.numpy_helper.from_array(value, node.output[0]))
    return []


def _shape_of(draft: Draft, node: onnx.NodeProto) -> Array | None:
    """Return what Shape or Size make of a value of known sizes."""
    shape = draft.graph.shape(node.input[0])
    if shape is None or not all(isinstance(dim, int) for dim in shape):
        return None
    dims = np.asarray(shape, np.int64)
    if node.op_type == "Size":
        return np.asarray(dims.prod())
    found: Array = dims[attribute(node, "start", 0) : attribute(node, "end", len(dims))]
    return found


def _computed(draft: Draft, node: onnx.NodeProto) -> Array | None:
    """Return the result of a node whose operands are all small constants."""
    operands = {name: draft.constant(name) for name in node.input if name}
    known = {name: array for name, array in operands.items() if array is not None}
    return _run(node, known, draft.opset) if len(known) == len(operands) else None


def _run(node: onnx.NodeProto, operands: dict[str, Array], opset: int) -> Array | None:
    """Return what ONNX's own reference makes of a node, None where it makes nothing of it."""
    graph = onnx.helper.make_graph(
        [node],
        "one",
        [onnx.helper.make_tensor_value_info(name, _type(array), array.shape) for name, array in operands.items()],
        [onnx.ValueInfoProto(name=node.output[0])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    try:
        found: Any = ReferenceEvaluator(model).run(None, operands)
        found = found[0]
    except Exception:  # noqa: BLE001 - the reference raises whatever numpy does; the node then stays
        return None
    return np.asarray(found) if isinstance(found, np.ndarray | np.generic) else None


def _bounded(draft: Draft, name: str) -> bool:
    shape = draft.graph.shape(name)
    sizes = [dim for dim in shape or () if isinstance(dim, int)]
    return shape is not None and len(sizes) == len(shape) and prod(sizes) * 8 <= SMALL


def _is_output(draft: Draft, name: str) -> bool:
    return any(output.name == name for output in draft.model.graph.output)


def _type(array: Array) -> int:
    return int(onnx.helper.np_dtype_to_tensor_dtype(array.dtype))


def constants_to_initializers(draft: Draft) -> None:
    """Make Constant nodes initializers, which every reader of the graph knows where to find."""

    def rule(_draft: Draft, graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.op_type != "Constant" or node.domain not in {"", "ai.onnx"} or _is_output(draft, node.output[0]):
            return None
        for item in node.attribute:
            if item.name == "value":
                tensor = onnx.TensorProto()
                tensor.CopyFrom(item.t)
            elif item.name in {"value_float", "value_floats"}:
                tensor = onnx.numpy_helper.from_array(np.asarray(onnx.helper.get_attribute_value(item), np.float32))
            elif item.name in {"value_int", "value_ints"}:
                tensor = onnx.numpy_helper.from_array(np.asarray(onnx.helper.get_attribute_value(item), np.int64))
            else:
                return None
            tensor.name = node.output[0]
            graph.initializer.append(tensor)
            return []
        return None

    draft.rewrite(rule)


def drop_identities(draft: Draft) -> None:
    """Leave out Identity and Dropout (of inference) nodes, whose output is their input."""
    same: dict[str, str] = {}

    def rule(draft: Draft, _graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        training = len(node.input) > 2 and bool(node.input[2])
        used = [name for name in node.output if name]
        if node.op_type not in {"Identity", "Dropout"} or node.domain or training or len(used) != 1:
            return None
        if _is_output(draft, node.output[0]) or not node.input[0]:
            return None
        same[node.output[0]] = node.input[0]
        return []

    count = draft.rewrite(rule)
    if not count:
        return
    for graph in draft.bodies():
        for node in graph.node:
            for place, name in enumerate(node.input):
                node.input[place] = _end_of(same, name)
        for output in graph.output:
            output.name = same.get(output.name, output.name)
    draft.changed(f"left out {count} Identity and Dropout nodes")


def _end_of(same: dict[str, str], name: str) -> str:
    """Return where a chain of identities begins."""
    while name in same:
        name = same[name]
    return name


def drop_unread(draft: Draft) -> None:
    """Drop nodes and initializers of the main graph that nothing reads, and every inferred shape."""
    graph = draft.model.graph
    while True:
        read = {output.name for output in graph.output}
        for body in draft.bodies():
            read |= {name for node in body.node for name in node.input} | {output.name for output in body.output}
        kept = [node for node in graph.node if any(name in read for name in node.output)]
        if len(kept) == len(graph.node):
            break
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
        del graph.node[:]
        graph.node.extend(copies)
    for place in reversed(range(len(graph.initializer))):
        if graph.initializer[place].name not in read:
            del graph.initializer[place]
    given = {tensor.name for tensor in graph.initializer}
    for place in reversed(range(len(graph.input))):
        if graph.input[place].name in given:  # IR version 3 lists initializers as inputs
            del graph.input[place]
    del graph.value_info[:]
    draft.changed()
