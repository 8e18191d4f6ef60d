"""Repeating every pixel."""

from typing import Any

from lwmport.converters.tflite.emitter import Emitter
from lwmport.converters.tflite.graph import Tensor
from lwmport.graphs.atoms import composite_attributes, shape_of


def concatenate(e: Emitter, equation: Any) -> None:
    """Emit CONCATENATION of the pixels, then of the rows, with themselves: XNNPACK has no nearest resize."""
    (x,), (out,) = equation.invars, equation.outvars
    factor = composite_attributes(equation)["factor"]
    batch, height, width, channels = shape_of(x)
    wide = _repeated(e, e.read(x), factor)
    rows = e.reshape(wide, (batch, height, int(width) * factor * int(channels)))
    e.bind(out, e.reshape(_repeated(e, rows, factor), shape_of(out)))


def resize(e: Emitter, equation: Any) -> None:
    """Emit RESIZE_NEAREST_NEIGHBOR with coordinates rounded down, which repeats every pixel."""
    (x,), (out,) = equation.invars, equation.outvars
    size = e.graph.integers([int(side) for side in shape_of(out)[1:3]])
    options = {"alignCorners": False, "halfPixelCenters": False}
    e.bind(out, e.emit("RESIZE_NEAREST_NEIGHBOR", [e.read(x), size], out, options))


def _repeated(e: Emitter, value: Tensor, factor: int) -> Tensor:
    """Emit CONCATENATION of a value with itself along its last axis."""
    *shape, last = value.shape
    options = {"axis": len(shape)}
    return e.graph.operation("CONCATENATION", [value] * factor, (*shape, int(last) * factor), value.dtype, options)
