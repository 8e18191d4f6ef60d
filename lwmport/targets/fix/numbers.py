"""Masks and bounds that are finite, indices and arithmetic in int32, and no double precision."""

from typing import Final

import numpy as np
import onnx

from lwmport.targets.fix.draft import Draft, without
from lwmport.targets.fix.scores import softmaxes
from lwmport.targets.graphs.one_node import schema_of
from lwmport.targets.graphs.record import Node
from lwmport.targets.rules.numbers import ARITHMETIC, HALF_MAX, INDEX_MAKERS
from lwmport.targets.rules.rule import span_of
from lwmport.types import Array

INT64, INT32 = onnx.TensorProto.INT64, onnx.TensorProto.INT32
DOUBLE, FLOAT = onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT

MASKED: Final = frozenset({"Add", "Concat", "Mul", "Sub", "Where"})
"""Operators that put a mask into scores."""

BOUNDS: Final = frozenset({"Clip", "Max", "Min", "Pad"})
"""Operators that hold values to a constant: what it lets through must stay, so it is brought to float16's end only."""


WIDENING: Final = frozenset({"Pad"})
"""Bounds that are masks where what they make leads to a softmax."""


DTYPE_ATTRIBUTES: Final = frozenset(
    {
        ("Cast", "to"),
        *((name, "dtype") for name in ("Bernoulli", "EyeLike", "RandomNormal", "RandomNormalLike", "RandomUniform")),
        ("RandomUniformLike", "dtype"),
        *((f"{name}Window", "output_datatype") for name in ("Blackman", "Hamming", "Hann")),
        ("MelWeightMatrix", "output_datatype"),
    }
)
"""(operator, attribute) that says the dtype of the result."""


def masks_of(draft: Draft) -> list[str]:
    """Return the constants beyond float16 that serve as masks and bound nothing."""
    return [name for name, (masked, bounded) in _beyond_half(draft).items() if masked and not bounded]


def finite_bounds(draft: Draft) -> None:
    """Bring constants beyond float16 that bound values to the largest that float16 has, and its negative.

    One that is a mask as well stays that, and becomes two.
    """
    split: dict[str, str] = {}
    for name, (masked, bounded) in _beyond_half(draft).items():
        value = draft.constant(name) if masked and bounded else None
        if value is not None:
            split[name] = draft.new_constant(draft.model.graph, value, f"{name}/bound")
            nodes = {node.outputs[0] for node in bounded if node.outputs}
            for graph in draft.bodies():
                for node in graph.node:
                    if node.output and node.output[0] in nodes:
                        node.input[:] = [split.get(other, other) if other == name else other for other in node.input]
    if split:
        draft.changed()
    clip(draft, [name for name, (_, bounded) in _beyond_half(draft).items() if bounded], HALF_MAX)


def _beyond_half(draft: Draft) -> dict[str, tuple[list[Node], list[Node]]]:
    """Return constants beyond float16 with the nodes that read them as masks, and those that read them as bounds."""
    found = {}
    graph = draft.graph
    for name, constant in graph.constants.items():
        if constant.dtype not in {"float16", "float32", "float64"}:
            continue
        masked, bounded = [], []
        for node in graph.readers.get(name, ()):
            if node.op in MASKED or (node.op in WIDENING and softmaxes(graph, node.outputs)):
                masked.append(node)
            elif node.op in BOUNDS:
                bounded.append(node)
        span = span_of(constant) if masked or bounded else None
        if span is not None and (span.infinite or span.largest > HALF_MAX):
            found[name] = masked, bounded
    return found


def clip(draft: Draft, names: list[str], limit: float) -> None:
    """Bring what is beyond float16 in some constants to ``limit`` and its negative: large ones as they are written."""
    for name in names:
        value = draft.constant(name)
        if value is None:
            draft.limits[name] = limit
        else:
            _replace(draft, name, clip_mask(value, limit))
    if names:
        draft.changed(f"clipped {len(names)} constants beyond float16 to {limit:g}")


def clip_mask(values: Array, mask: float) -> Array:
    """Return values with those beyond float16, infinities too, at ``mask`` or its negative; NaN stays."""
    limit = np.asarray(abs(mask), values.dtype)
    clipped: Array = np.where(np.abs(values) > HALF_MAX, np.copysign(limit, values), values).astype(values.dtype)
    return clipped


def cast_indices(draft: Draft) -> None:
    """Put a Cast behind operators whose int64 indices a target makes in int32."""
    count = 0
    for graph in draft.bodies():
        nodes = []
        for node in graph.node:
            nodes.append(node)
            place = INDEX_MAKERS.get(node.op_type, -1)
            if node.domain or not 0 <= place < len(node.output) or not node.output[place]:
                continue
            name = node.output[place]
            readers = [other for other in graph.node if name in other.input]
            if all(reader.op_type == "Cast" for reader in readers) and readers:
                continue
            raw = draft.fresh(f"{name}/raw")
            node.output[place] = raw
            nodes.append(onnx.helper.make_node("Cast", [raw], [name], draft.fresh(f"{raw}/Cast"), to=INT64))
            count += 1
        _replace_nodes(graph, nodes)
    if count:
        draft.changed(f"put a Cast behind {count} makers of indices")


def arithmetic_in_int32(draft: Draft) -> None:  # noqa: C901 - one rule
    """Compute in int32 what was computed in int64 at run time, with Casts around it."""
    graph = draft.graph

    def rule(draft: Draft, body: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.domain or node.op_type not in ARITHMETIC:
            return None
        fixed = _fixed_places(node, draft.opset)  # axes, which the operator wants as int64
        names = [name for place, name in enumerate(node.input) if name and place not in fixed]
        wide = [name for name in names if graph.dtype(name) == "int64"]
        runtime = [name for name in wide if name not in graph.known]
        if not runtime:
            return None
        made: list[onnx.NodeProto] = []
        copy = without(node)
        for place, name in enumerate(node.input):
            if name not in wide or place in fixed:
                continue
            value = draft.constant(name)
            if value is not None:
                if np.abs(value).max(initial=0) >= 2**31:
                    return None
                copy.input[place] = draft.new_constant(body, value.astype(np.int32), f"{name}/int32")
                continue
            copy.input[place] = _cast(draft, made, name, INT32)
        made.append(copy)
        for place, name in enumerate(node.output):
            if name and graph.dtype(name) == "int64":
                narrow = draft.fresh(f"{name}/int32")
                copy.output[place] = narrow
                made.append(onnx.helper.make_node("Cast", [narrow], [name], draft.fresh(f"{name}/Cast"), to=INT64))
        return made

    count = draft.rewrite(rule)
    if count:
        _join_casts(draft)
        draft.changed(f"computed {count} nodes in int32 instead of int64")


def _fixed_places(node: onnx.NodeProto, opset: int) -> set[int]:
    """Return the operands of a node that have one dtype, whatever the others have."""
    schema = schema_of(node.op_type, opset)
    formals = schema.inputs if schema is not None else ()
    return {place for place, formal in enumerate(formals) if formal.type_str.startswith("tensor(")}


def _cast(draft: Draft, made: list[onnx.NodeProto], name: str, to: int) -> str:
    narrow = draft.fresh(f"{name}/int32")
    made.append(onnx.helper.make_node("Cast", [name], [narrow], draft.fresh(f"{narrow}/Cast"), to=to))
    return narrow


def _join_casts(draft: Draft) -> None:
    """Read int32 directly where it was cast to int64 and back."""
    wide = {
        node.output[0]: node.input[0]
        for node in draft.model.graph.node
        if node.op_type == "Cast" and draft.graph.dtype(node.input[0]) == "int32" and _to(node) == INT64
    }
    for node in draft.model.graph.node:
        if node.op_type == "Cast" and _to(node) == INT32 and node.input[0] in wide:
            node.input[0] = wide[node.input[0]]


def _to(node: onnx.NodeProto) -> int:
    return next((int(item.i) for item in node.attribute if item.name == "to"), 0)


def no_doubles(draft: Draft) -> None:  # noqa: C901 - constants, nodes and values
    """Keep small float64 constants, and casts to float64, in float32."""
    count = 0
    graph = draft.graph
    for name, constant in graph.constants.items():
        value = draft.constant(name) if constant.dtype == "float64" else None
        if value is not None:
            _replace(draft, name, value.astype(np.float32))
            count += 1
    for body in draft.bodies():
        for node in body.node:
            for item in node.attribute:
                if (node.op_type, item.name) in DTYPE_ATTRIBUTES and item.i == DOUBLE:
                    item.i = FLOAT
                    count += 1
                if node.op_type == "ConstantOfShape" and item.t.data_type == DOUBLE:
                    item.t.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(item.t).astype(np.float32)))
                    count += 1
        for value in (*body.output, *body.value_info):
            if value.type.tensor_type.elem_type == DOUBLE:
                value.type.tensor_type.elem_type = FLOAT
                count += 1
    if count:
        draft.changed(f"brought {count} constants, casts and outputs from float64 to float32")


def _replace(draft: Draft, name: str, value: Array) -> None:
    """Put another value in place of a constant, wherever it is kept."""
    for graph in draft.bodies():
        for tensor in graph.initializer:
            if tensor.name == name:
                tensor.CopyFrom(onnx.numpy_helper.from_array(value, name))


def _replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
