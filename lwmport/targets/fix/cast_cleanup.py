"""What inlining leaves behind: casts to the dtype that is there, and parts without elements."""

import onnx

from lwmport.onnx_dtypes import DTYPES, NUMBERS
from lwmport.targets.fix.draft import Draft, attribute, without


def casts(draft: Draft) -> None:
    """Write CastLike as Cast, and leave out casts to the dtype that a value has."""
    graph = draft.graph

    def rule(_draft: Draft, _graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.domain or node.op_type not in {"Cast", "CastLike"}:
            return None
        old = graph.dtype(node.input[0])
        new = graph.dtype(node.input[1]) if node.op_type == "CastLike" else DTYPES.get(attribute(node, "to", 0), "")
        if old and old == new:
            return [onnx.helper.make_node("Identity", [node.input[0]], list(node.output), node.name)]
        if node.op_type == "Cast" or not new:
            return None
        return [onnx.helper.make_node("Cast", [node.input[0]], list(node.output), node.name, to=NUMBERS[new])]

    count = draft.rewrite(rule)
    if count:
        draft.notes.append(f"settled {count} casts")


def empty_parts(draft: Draft) -> None:
    """Leave out parts without elements: outputs of a Split, operands of a Concat."""
    graph = draft.graph

    def empty(name: str) -> bool:
        return 0 in (graph.shape(name) or ())

    def rule(_draft: Draft, _graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.domain or node.op_type not in {"Concat", "Split"}:
            return None
        names = node.input if node.op_type == "Concat" else node.output
        kept = [name for name in names if not empty(name)]
        if len(kept) == len(names) or not kept:
            return None
        if node.op_type == "Concat":
            copy = without(node)
            copy.input[:] = kept
            return [copy]
        if len(kept) > 1:
            return None
        return [onnx.helper.make_node("Identity", [node.input[0]], kept, node.name)]

    first = draft.rewrite(lambda *found: rule(*found) if found[2].op_type == "Concat" else None)
    second = draft.rewrite(lambda *found: rule(*found) if found[2].op_type == "Split" else None)
    if first + second:
        draft.notes.append(f"left out parts without elements at {first + second} nodes")
