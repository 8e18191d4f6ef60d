"""Forms of layer normalisation: the operator since opset 17, and the operators that it was written in before."""

from typing import Any

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx.emitter import Emitter, identity
from lwmport.converters.onnx.normalisation import last_mean, number, shifted_mean
from lwmport.graphs.atoms import composite_attributes, shape_of


def layer_normalization(e: Emitter, equation: Any) -> None:
    """Emit LayerNormalization over the last axis, which computes in float32."""
    (x, scale, bias), (out,) = equation.invars, equation.outvars
    shape = shape_of(out)
    attributes = {"axis": -1, "epsilon": composite_attributes(equation)["epsilon"]}
    operands = [e.read(x), _vector(e, scale, out), _vector(e, bias, out)]
    order = identity(len(shape))
    e.bind(out, e.emit("LayerNormalization", operands, out, order, attributes), order)


def spelled_out(e: Emitter, equation: Any) -> None:
    """Emit (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale + bias.

    The quotient is computed in float32 and rounded to the dtype of x, as the operator is defined. With a scale of
    another dtype than x, what ONNX Runtime's fusion makes of it does not load.

    These are the operators, and the operands in the order, that torch's export has before opset 17. ONNX Runtime, CANN
    (LayerNormONNXFusionPass of hicann/ops-nn), Compass (merge_ln4 of its parser's middle_passes.py), MIGraphX
    (match/layernorm.hpp) and OpenVINO read them as one layer norm.
    """
    (x, scale, bias), (out,) = equation.invars, equation.outvars
    shape, small, order = shape_of(out), (*shape_of(out)[:-1], 1), identity(len(shape_of(out)))
    wide = e.cast(e.read(x), shape, x.aval.dtype, np.float32)
    centred = e.graph.node("Sub", [wide, last_mean(e, wide, small)], shape, np.float32)
    squared = e.graph.node("Pow", [centred, number(e, 2.0)], shape, np.float32)
    root = e.graph.node("Sqrt", [shifted_mean(e, squared, small, equation)], small, np.float32)
    normal = e.graph.node("Div", [centred, root], shape, np.float32)
    normal = e.cast(normal, shape, np.float32, out.aval.dtype)
    scaled = e.emit("Mul", [normal, _vector(e, scale, out)], out, order)
    e.bind(out, e.emit("Add", [scaled, _vector(e, bias, out)], out, order), order)


def _vector(e: Emitter, atom: Any, out: Any) -> ir.Value:
    """Return a scale or a bias in the dtype of the result."""
    return e.cast(e.read(atom), shape_of(atom), atom.aval.dtype, out.aval.dtype)
