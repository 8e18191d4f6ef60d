"""Functions that a model carries: one node where it is used, plain operators where it is defined.

A runtime inlines them, a reader sees one node for one idea.
"""

from typing import Final

import numpy as np
import onnx_ir as ir

DOMAIN: Final = "lwmport"


def group_norm(groups: int, opset: int) -> ir.Function:
    """Return ``GroupNorm(x, scale, bias, ones)`` with the attribute ``epsilon``, for x [b, c, ...].

    ``scale`` and ``bias`` are [c, 1, 1], ``ones`` has the elements of one group. LayerNormalization over a whole group
    reads and writes x once and uses every thread; ONNX Runtime's own expansion of GroupNormalization is twenty
    operators with six passes over x, and its InstanceNormalization runs on one thread.
    """
    x, scale, bias, ones = (ir.Value(name=name) for name in ("x", "scale", "bias", "ones"))
    target = ir.node("Constant", [], attributes={"value": ir.Tensor(np.asarray([0, groups, -1], np.int64))})
    shape = ir.node("Shape", [x])
    grouped = ir.node("Reshape", [x, target.outputs[0]])
    normal = ir.node("LayerNormalization", [grouped.outputs[0], ones], attributes={"axis": -1})
    normal.attributes.add(ir.RefAttr("epsilon", "epsilon", ir.AttributeType.FLOAT))
    whole = ir.node("Reshape", [normal.outputs[0], shape.outputs[0]])
    scaled = ir.node("Mul", [whole.outputs[0], scale])
    shifted = ir.node("Add", [scaled.outputs[0], bias])
    nodes = [target, shape, grouped, normal, whole, scaled, shifted]
    names = ("target", "shape", "grouped", "normal", "whole", "scaled", "y")
    for node, name in zip(nodes, names, strict=True):
        node.outputs[0].name = name
    graph = ir.Graph([x, scale, bias, ones], shifted.outputs, nodes=nodes, opset_imports={"": opset}, name="GroupNorm")
    epsilon = ir.Attr("epsilon", ir.AttributeType.FLOAT, 1e-6)
    return ir.Function(DOMAIN, f"GroupNorm{groups}", graph=graph, attributes=[epsilon])
