"""What a target's parser trips over in the writing: names, domains, resize modes, attributes that say nothing."""

import re
from collections import Counter
from typing import Final

import onnx

from lwmport.targets.fix.draft import Draft, attribute, without
from lwmport.targets.fix.opsets import needless_allowzero, whole_pads
from lwmport.targets.graphs.record import Graph, Node
from lwmport.targets.rules.files import SHAPE_OPTION
from lwmport.targets.rules.nodes import modes_of, rows_of, scales_of
from lwmport.targets.rules.resize import ROUND_DOWN, same_for_any_rounding, taken

AXES_AS_INPUT: Final = 13
"""The first opset at which Squeeze has its axes as an operand."""


def names(draft: Draft) -> None:
    """Name every node once, and inputs and outputs so that a shape option can be written for them."""
    counts: Counter[str] = Counter()
    renamed = 0
    for graph in draft.bodies():
        counts.update(value.name for value in graph.input)  # an input is a node for a parser
        for node in graph.node:
            hint = node.name or node.op_type
            counts[hint] += 1
            if not node.name or counts[hint] > 1:
                node.name = draft.fresh(hint)
                counts[node.name] += 1
                renamed += 1
    changed = {
        value.name: draft.fresh(re.sub(r"[^A-Za-z0-9_.\-/]", "_", value.name) or "value")
        for value in (*draft.model.graph.input, *draft.model.graph.output)
        if SHAPE_OPTION.search(value.name)
    }
    for graph in draft.bodies():
        for values in (graph.input, graph.output, graph.value_info, graph.initializer):
            for value in values:
                value.name = changed.get(value.name, value.name)
        for node in graph.node:
            node.input[:] = [changed.get(name, name) for name in node.input]
            node.output[:] = [changed.get(name, name) for name in node.output]
    if renamed:
        draft.changed(f"named {renamed} nodes")
    if changed:
        draft.changed(f"renamed {', '.join(f'{old!r} to {new!r}' for old, new in changed.items())}")


def domains(draft: Draft) -> None:
    """List the default domain as the empty one, and none that no node uses."""
    used = {node.domain for graph in draft.bodies() for node in graph.node}
    used |= {node.domain for function in draft.model.functions for node in function.node}
    used = {"" if domain == "ai.onnx" else domain for domain in used} | {""}
    kept, dropped = {}, []
    for item in draft.model.opset_import:
        domain = "" if item.domain == "ai.onnx" else item.domain
        if domain in used:
            kept[domain] = item.version
        else:
            dropped.append(domain)
    del draft.model.opset_import[:]
    draft.model.opset_import.extend(onnx.helper.make_opsetid(domain, version) for domain, version in kept.items())
    for graph in draft.bodies():
        for node in graph.node:
            if node.domain == "ai.onnx":
                node.domain = ""
    draft.changed(f"left out the unused domains {', '.join(dropped)}" if dropped else "")


def resizes(draft: Draft) -> None:
    """Write nearest Resize nodes with half_pixel coordinates, where these take the same pixels without any tie."""
    graph = draft.graph
    found = {node.outputs[0]: node for node in graph.of("Resize") if _can_be_tie_free(graph, node)}

    def rule(_draft: Draft, _graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.op_type != "Resize" or node.output[0] not in found:
            return None
        copy = without(node, "coordinate_transformation_mode", "nearest_mode")
        copy.attribute.append(onnx.helper.make_attribute("coordinate_transformation_mode", "half_pixel"))
        copy.attribute.append(onnx.helper.make_attribute("nearest_mode", ROUND_DOWN))
        return [copy]

    count = draft.rewrite(rule)
    if count:
        draft.changed(f"took the ties from {count} Resize nodes (half_pixel, the same pixels)")


def _can_be_tie_free(graph: Graph, node: Node) -> bool:
    scales, shape = scales_of(graph, node), graph.shape(node.input(0))
    if node.attributes.get("mode", "nearest") != "nearest" or scales is None or shape is None:
        return False
    pairs = [(scale, size) for scale, size in zip(scales, shape, strict=False) if scale != 1.0]
    if len(scales) != len(shape) or not all(isinstance(size, int) for _, size in pairs):
        return False
    sizes = [(int(size), int(int(size) * scale)) for scale, size in pairs]
    factors = [scale for scale, _ in pairs]
    target = ("half_pixel", ROUND_DOWN)
    if modes_of(node) == target or not same_for_any_rounding(target, factors, sizes):
        return False
    return all(
        taken(modes_of(node), scale, *size) == taken(target, scale, *size)
        for scale, size in zip(factors, sizes, strict=True)
    )


def rows(draft: Draft) -> None:
    """Write a GatherND whose indices name one axis alone as a Gather."""
    found = {node.outputs[0] for node in rows_of(draft.graph)}

    def rule(draft: Draft, graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.op_type != "GatherND" or node.output[0] not in found:
            return None
        table, indices = node.input
        flat = draft.fresh(f"{node.output[0]}_rows")
        last = draft.new_constant(graph, [-1], "last_axis")
        squeeze = onnx.helper.make_node("Squeeze", [indices, last], [flat], draft.fresh("Squeeze"))
        return [squeeze, onnx.helper.make_node("Gather", [table, flat], node.output, node.name, axis=0)]

    count = draft.rewrite(rule) if draft.opset >= AXES_AS_INPUT else 0
    if count:
        draft.changed(f"wrote {count} GatherND nodes of rows as Gather")


def pads(draft: Draft) -> None:
    """Write the pads of all axes where a Pad names some, with the axes as an operand."""

    def rule(draft: Draft, graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.op_type != "Pad" or len(node.input) < 4 or not node.input[3]:
            return None
        found = whole_pads(draft, graph, node)
        return None if found is None else [found]

    count = draft.rewrite(rule)
    if count:
        draft.changed(f"wrote the pads of all axes at {count} Pad nodes")


def needless_attributes(draft: Draft) -> None:
    """Leave out ``allowzero`` where no size is zero."""

    def rule(draft: Draft, _graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.op_type != "Reshape" or not attribute(node, "allowzero", 0):
            return None
        found = needless_allowzero(draft, node)
        return None if found is None else [found]

    count = draft.rewrite(rule)
    if count:
        draft.changed(f"left out allowzero at {count} Reshape nodes")
