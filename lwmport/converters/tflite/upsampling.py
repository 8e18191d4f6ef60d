"""Repeating every pixel."""

from typing import Any

from lwmport.converters.tflite.emitter import Emitter
from lwmport.converters.tflite.graph import Tensor
from lwmport.graphs.atoms import composite_attributes, shape_of


def concatenate(e: Emitter, equation: Any) -> None:
    """Emit CONCATENATION of the pixels, then of the rows, with themselves: XNNPACK has no nearest resize."""
    (x,), (out,) = equation.invars, equation.outvars
    e.bind(out, enlarged(e, e.read(x), composite_attributes(equation)["factor"]))


def enlarged(e: Emitter, value: Tensor, factor: int) -> Tensor:
    """Return a picture [batch, height, width, channels], of numbers or of codes, each pixel ``factor`` times a side."""
    batch, height, width, channels = value.shape
    high, wide = int(height) * factor, int(width) * factor
    rows = e.reshape(_repeated(e, value, factor), (batch, height, wide * int(channels)))
    return e.reshape(_repeated(e, rows, factor), (batch, high, wide, channels))


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
