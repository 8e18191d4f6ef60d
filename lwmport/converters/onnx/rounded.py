"""Values rounded to 256 numbers: QuantizeLinear and DequantizeLinear with one scale."""

from typing import Any, Final

import numpy as np

from lwmport.converters.onnx.emitter import CHANNELS_FIRST, Emitter, permuted
from lwmport.graphs.atoms import composite_attributes, shape_of

SIGNED: Final = 128
"""What codes that are not signed lie above signed ones."""


def signed_levels(e: Emitter, equation: Any) -> None:
    """Emit codes from -128 to 127."""
    _emit(e, equation, np.dtype(np.int8), 0)


def unsigned_levels(e: Emitter, equation: Any) -> None:
    """Emit the same codes from 0 to 255.

    ONNX Runtime on x86 computes with these, and makes them of signed ones itself. Where a Reshape follows (a group
    norm), what it makes is no valid model from opset 21 on (1.32: "output_dtype INT8 does not match y_zero_point").
    """
    _emit(e, equation, np.dtype(np.uint8), SIGNED)


def _emit(e: Emitter, equation: Any, dtype: np.dtype[Any], above: int) -> None:
    (x,), (out,) = equation.invars, equation.outvars
    given, order = composite_attributes(equation), CHANNELS_FIRST  # of a convolution, which reads no other order
    shape = permuted(shape_of(out), order)
    scale = e.graph.constant(np.asarray(given["scale"], np.float32), "scale")
    zero = e.graph.constant(np.asarray(given["zero"] + above, dtype), "zero_point")
    codes = e.graph.node("QuantizeLinear", [e.read(x, order), scale, zero], shape, dtype)
    e.bind(out, e.graph.node("DequantizeLinear", [codes, scale, zero], shape, out.aval.dtype), order)
