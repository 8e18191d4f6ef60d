"""Another opset: each node is held against the older schema, and rewritten where only its spelling changed.

onnx's own version converter has no way down for most operators. A node that the older opset cannot say stays as it is,
and the rule that found it finds it again.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np
import onnx

from lwmport.onnx_dtypes import KINDS
from lwmport.targets.fix.draft import Draft, attribute, without

Adapter: TypeAlias = Callable[[Draft, onnx.GraphProto, onnx.NodeProto, int], onnx.NodeProto | None]
"""Returns a node as the older opset says it, None where it cannot."""

MEANING: Final = {
    "GroupNormalization": 21,
    "Hardmax": 13,
    "RoiAlign": 16,
}
"""Operator -> the opset at which the same attributes began to mean something else."""


def lower(draft: Draft, opset: int) -> None:
    """Bring the default domain down to an opset if every node can be said there; all or nothing."""
    if draft.opset <= opset or draft.model.functions:
        return
    failures: list[str] = []
    kept = draft.model.SerializeToString()

    def rule(draft: Draft, graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.domain not in {"", "ai.onnx"}:
            return None
        found = _lowered(draft, graph, node, opset)
        if found is None:
            failures.append(node.op_type)
            return None
        return [found]

    before = draft.opset
    draft.rewrite(rule)
    if failures:
        draft.model = onnx.ModelProto.FromString(kept)
        draft.changed(f"left opset {before}: {', '.join(sorted(set(failures)))} cannot be said at {opset}")
        return
    for item in draft.model.opset_import:
        if item.domain in {"", "ai.onnx"}:
            item.version = opset
    draft.changed(f"brought opset {before} down to {opset}")


def _lowered(draft: Draft, graph: onnx.GraphProto, node: onnx.NodeProto, opset: int) -> onnx.NodeProto | None:
    try:
        new = onnx.defs.get_schema(node.op_type, draft.opset)
        old = onnx.defs.get_schema(node.op_type, opset)
    except onnx.defs.SchemaError:
        return None
    if new.since_version == old.since_version:
        return node
    if opset < MEANING.get(node.op_type, 0) <= draft.opset:
        return None
    found: onnx.NodeProto | None = node
    if node.op_type in ADAPTERS:
        found = ADAPTERS[node.op_type](draft, graph, node, opset)
    if found is None:
        return None
    found = _plain(found, new, old)
    fits = len(found.input) <= old.max_input and len(found.output) <= old.max_output
    known = all(item.name in old.attributes for item in found.attribute)
    return found if fits and known and _typed(draft, found, old) else None


def _plain(node: onnx.NodeProto, new: Any, old: Any) -> onnx.NodeProto:
    """Return a node without the attributes that the older schema lacks and that say what is usual."""
    usual = [
        item.name
        for item in node.attribute
        if item.name not in old.attributes
        and item.name in new.attributes
        and _is_usual(item, new.attributes[item.name])
    ]
    found = without(node, *usual)
    while found.input and not found.input[-1]:
        del found.input[-1]
    return found


def _is_usual(item: onnx.AttributeProto, known: Any) -> bool:
    value = onnx.helper.get_attribute_value(item)
    if known.default_value.type == onnx.AttributeProto.UNDEFINED:
        return item.name == "dilations" and all(size == 1 for size in value)
    return bool(value == onnx.helper.get_attribute_value(known.default_value))


def _typed(draft: Draft, node: onnx.NodeProto, old: Any) -> bool:
    """Return whether the older schema takes the dtypes of a node's inputs, as far as they are known."""
    allowed = {constraint.type_param_str: set(constraint.allowed_type_strs) for constraint in old.type_constraints}
    for place, name in enumerate(node.input):
        dtype = draft.graph.dtype(name)
        formal = old.inputs[min(place, len(old.inputs) - 1)] if old.inputs else None
        if name and dtype and formal is not None:
            kinds = allowed.get(formal.type_str, {formal.type_str})
            if not any(KINDS.get(kind) == dtype for kind in kinds):
                return False
    return True


def _axes_as_attribute(first: int) -> Adapter:
    """Return what makes an operand of axes an attribute, for operators that have it as operand since an opset."""

    def adapter(draft: Draft, _graph: onnx.GraphProto, node: onnx.NodeProto, opset: int) -> onnx.NodeProto | None:
        if opset >= first:
            return node
        found = without(node, "noop_with_empty_axes")
        if len(node.input) > 1 and node.input[1]:
            axes = draft.constant(node.input[1])
            if axes is None or (not axes.size and attribute(node, "noop_with_empty_axes", 0)):
                return None
            del found.input[1:]
            if axes.size:
                found.attribute.append(onnx.helper.make_attribute("axes", [int(axis) for axis in axes.reshape(-1)]))
        elif attribute(node, "noop_with_empty_axes", 0):
            return None
        return found

    return adapter


def _split(draft: Draft, graph: onnx.GraphProto, node: onnx.NodeProto, opset: int) -> onnx.NodeProto | None:
    found = without(node, "num_outputs")
    shapes = [draft.graph.shape(name) for name in node.output]
    axis = int(attribute(node, "axis", 0))
    if any(shape is None or not isinstance(shape[axis], int) for shape in shapes):
        return None
    sizes = [int(shape[axis]) for shape in shapes if shape is not None]
    if opset < 13:
        del found.input[1:]
        found.attribute.append(onnx.helper.make_attribute("split", sizes))
    elif len(node.input) < 2:
        found.input.append(draft.new_constant(graph, np.asarray(sizes, np.int64), f"{node.name}/split"))
    return found


def _pad(draft: Draft, graph: onnx.GraphProto, node: onnx.NodeProto, opset: int) -> onnx.NodeProto | None:
    return node if opset >= 18 else whole_pads(draft, graph, node)


def whole_pads(draft: Draft, graph: onnx.GraphProto, node: onnx.NodeProto) -> onnx.NodeProto | None:
    """Return a Pad whose constant pads are of all axes, None if they cannot be known; one without axes stays."""
    if len(node.input) < 4 or not node.input[3]:
        return node
    axes, pads = draft.constant(node.input[3]), draft.constant(node.input[1])
    shape = draft.graph.shape(node.input[0])
    if axes is None or pads is None or shape is None:
        return None
    rank = len(shape)
    whole = np.zeros((2, rank), np.int64)
    whole[:, [int(axis) % rank for axis in axes]] = pads.reshape(2, -1)
    found = without(node)
    found.input[1] = draft.new_constant(graph, whole.reshape(-1), f"{node.name}/pads")
    del found.input[3]
    return found


def _grid_sample(_draft: Draft, _graph: onnx.GraphProto, node: onnx.NodeProto, opset: int) -> onnx.NodeProto | None:
    if opset >= 20:
        return node
    names = {"linear": "bilinear", "cubic": "bicubic", "nearest": "nearest"}
    found = without(node, "mode")
    found.attribute.append(onnx.helper.make_attribute("mode", names[attribute(node, "mode", "linear")]))
    return found


def _softmax(draft: Draft, _graph: onnx.GraphProto, node: onnx.NodeProto, opset: int) -> onnx.NodeProto | None:
    if opset >= 13:
        return node
    shape = draft.graph.shape(node.input[0])
    axis = int(attribute(node, "axis", -1))
    if shape is None or axis % len(shape) != len(shape) - 1:  # before 13 all axes from this one on were one
        return None
    found = without(node, "axis")
    found.attribute.append(onnx.helper.make_attribute("axis", len(shape) - 1))
    return found


def _reshape(draft: Draft, _graph: onnx.GraphProto, node: onnx.NodeProto, opset: int) -> onnx.NodeProto | None:
    return node if opset >= 14 else needless_allowzero(draft, node)


def needless_allowzero(draft: Draft, node: onnx.NodeProto) -> onnx.NodeProto | None:
    """Return a Reshape without ``allowzero`` if no size of its constant shape is zero, None if one may be."""
    if not attribute(node, "allowzero", 0):
        return without(node, "allowzero")
    target = draft.constant(node.input[1])
    return without(node, "allowzero") if target is not None and (target != 0).all() else None


ADAPTERS: Final[dict[str, Adapter]] = {
    **{
        f"Reduce{name}": _axes_as_attribute(18)
        for name in ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare"]
    },
    "ReduceSum": _axes_as_attribute(13),
    "Squeeze": _axes_as_attribute(13),
    "Unsqueeze": _axes_as_attribute(13),
    "Split": _split,
    "Pad": _pad,
    "GridSample": _grid_sample,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "Reshape": _reshape,
}
"""Operator -> how it is said at an older opset; operators without one only lose attributes that say what is usual."""
