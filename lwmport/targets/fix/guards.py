"""Comparisons that look for a mask go with it where it becomes a smaller number: they would not find it any more."""

from typing import Final

import numpy as np
import onnx

from lwmport.targets.fix import folding
from lwmport.targets.fix.draft import Draft
from lwmport.targets.fix.scores import ENDS
from lwmport.targets.graphs.record import Graph, Node
from lwmport.targets.rules.numbers import HALF_MAX
from lwmport.types import Array, dtype_of

COMPARING: Final = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")

SELECTING: Final = frozenset(
    {
        *(
            "Cast",
            "CastLike",
            "Clip",
            "Concat",
            "Expand",
            "Flatten",
            "Gather",
            "GatherElements",
            "GatherND",
            "Identity",
        ),
        *("If", "Max", "Min", "Pad", "ReduceMax", "ReduceMin", "Reshape", "ScatterND", "Slice", "Squeeze", "Tile"),
        *("Transpose", "Trilu", "Unsqueeze", "Where"),
    }
)
"""Operators through which a mask stays the number that it is."""

ADDING: Final = frozenset({"Add", "Div", "Mul", "Neg", "Sub", "Sum"})
"""Operators behind which it is one of many large numbers."""

REDUCED_BY_OPERAND: Final = 18
"""The first opset at which ReduceMax has its axes as an operand."""


def follow(draft: Draft, masks: list[str], limit: float) -> None:
    """Let what looks for masks, or for the NaN that they make, look for ``-limit``."""
    graph = draft.graph
    reached = _reached(graph, masks)

    def rule(draft: Draft, body: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.domain or not node.output:
            return None
        if node.op_type in COMPARING:
            return _compared(draft, body, node, reached, limit)
        if node.op_type == "IsInf" and node.input[0] in reached:
            return _either(draft, body, node, (node.input[0], graph.dtype(node.input[0])), limit)
        if node.op_type == "IsNaN":
            softmax = _softmax_behind(graph, node.input[0])
            if softmax is not None and softmax.input(0) in reached:
                top = _row_tops(draft, body, softmax)
                return [*top, *_either(draft, body, node, (top[-1].output[0], graph.dtype(softmax.input(0))), limit)]
        return None

    count = draft.rewrite(rule)
    if count:
        folding.drop_unread(draft)
        draft.changed(f"let {count} nodes that look for a mask look for {-limit:g}")


def _reached(graph: Graph, masks: list[str]) -> dict[str, bool]:
    """Return values that masks get into -> whether a mask is there the number that it is."""
    found = dict.fromkeys(masks, True)
    waiting = list(masks)
    while waiting:
        name = waiting.pop()
        for node in graph.readers.get(name, ()):
            if node.op not in SELECTING | ADDING:
                continue
            exact = found[name] and node.op in SELECTING
            for output in node.outputs:
                if output and (output not in found or (found[output] and not exact)):
                    found[output] = exact
                    waiting.append(output)
    return found


def _compared(
    draft: Draft, body: onnx.GraphProto, node: onnx.NodeProto, reached: dict[str, bool], limit: float
) -> list[onnx.NodeProto] | None:
    """Return a comparison of a masked value with a constant as one with the smaller mask."""
    for place, other in ((0, 1), (1, 0)):
        name = node.input[place]
        value = draft.constant(node.input[other])
        if name not in reached or value is None or value.dtype.kind != "f" or not value.size:
            continue
        low = value.astype(np.float64)
        if not (low < -limit / 2).all():
            continue
        beyond = bool((np.abs(low) > HALF_MAX).all())
        clipped = bool((low == -limit).all())
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        if reached[name] and clipped:
            return None
        if reached[name] and beyond and _is_lowest(value):
            copy.input[other] = draft.new_constant(body, np.full_like(value, -limit), f"{node.output[0]}/mask")
            return [copy]
        copy.input[other] = draft.new_constant(body, np.full_like(value, -limit / 2), f"{node.output[0]}/masked")
        if node.op_type == "Equal":
            copy.op_type = "Less" if place == 0 else "Greater"
        return [copy]
    return None


def _is_lowest(value: Array) -> bool:
    """Return whether numbers are what masks are made of: minus infinity, or the lowest number of a dtype."""
    lows = {float("-inf"), *(float(np.finfo(kind).min) for kind in (np.float16, np.float32, np.float64))}
    return {float(one) for one in value.reshape(-1)} <= lows


def _either(
    draft: Draft, body: onnx.GraphProto, node: onnx.NodeProto, value: tuple[str, str], limit: float
) -> list[onnx.NodeProto]:
    """Return a test that holds where it did, or where a value, of a name and a dtype, is masked."""
    name, dtype = value
    low = draft.new_constant(body, np.asarray(-limit / 2, dtype_of(dtype or "float32")), f"{node.output[0]}/masked")
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.output[0] = draft.fresh(f"{node.output[0]}/own")
    less = draft.fresh(f"{node.output[0]}/less")
    return [
        copy,
        onnx.helper.make_node("Less", [name, low], [less], draft.fresh(f"{less}/Less")),
        onnx.helper.make_node("Or", [copy.output[0], less], [node.output[0]], draft.fresh(f"{less}/Or")),
    ]


def _softmax_behind(graph: Graph, name: str) -> Node | None:
    """Return the softmax that makes a value, if nothing but casts lies between."""
    node = graph.makers.get(name)
    while node is not None and node.op in {"Cast", "Identity"}:
        node = graph.makers.get(node.input(0))
    return node if node is not None and node.op in ENDS else None


def _row_tops(draft: Draft, body: onnx.GraphProto, softmax: Node) -> list[onnx.NodeProto]:
    """Return nodes that put the largest score of each row in place of each score."""
    scores = softmax.input(0)
    axis = int(softmax.attributes.get("axis", -1))
    top, whole = draft.fresh(f"{scores}/top"), draft.fresh(f"{scores}/tops")
    if draft.opset >= REDUCED_BY_OPERAND:
        axes = draft.new_constant(body, np.asarray([axis], np.int64), f"{scores}/axes")
        reduce = onnx.helper.make_node("ReduceMax", [scores, axes], [top], draft.fresh(f"{top}/ReduceMax"))
    else:
        reduce = onnx.helper.make_node("ReduceMax", [scores], [top], draft.fresh(f"{top}/ReduceMax"), axes=[axis])
    return [reduce, onnx.helper.make_node("Max", [scores, top], [whole], draft.fresh(f"{whole}/Max"))]
