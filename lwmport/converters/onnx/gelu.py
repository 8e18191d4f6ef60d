"""Forms of the exact GELU: the operator since opset 20, and the operators that it was written in before."""

from math import sqrt
from typing import Any

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx.emitter import Emitter


def gelu(e: Emitter, equation: Any) -> None:
    """Emit Gelu, which is the exact one by default."""
    (x,), (out,) = equation.invars, equation.outvars
    order = e.order_of(x)
    e.bind(out, e.emit("Gelu", [e.read(x, order)], out, order), order)


def erf_times(e: Emitter, equation: Any) -> None:
    """Emit x * (erf(x / sqrt(2)) + 1) * 0.5.

    These are the operators, and the operands in the order, that torch's export has before opset 20: ONNX Runtime,
    Compass (merge_gelu_1 of its parser's middle_passes.py), MIGraphX (match/gelu_erf.hpp) and OpenVINO
    (GeluFusionWithErfTwo) read them as one GELU.
    """
    (x,), (out,) = equation.invars, equation.outvars
    order = e.order_of(x)
    value = e.read(x, order)
    turned = e.emit("Erf", [e.emit("Div", [value, _number(e, sqrt(2), out)], out, order)], out, order)
    raised = e.emit("Add", [turned, _number(e, 1, out)], out, order)
    whole = e.emit("Mul", [value, raised], out, order)
    e.bind(out, e.emit("Mul", [whole, _number(e, 0.5, out)], out, order), order)


def _number(e: Emitter, value: float, like: Any) -> ir.Value:
    return e.graph.constant(np.asarray(value, like.aval.dtype))
