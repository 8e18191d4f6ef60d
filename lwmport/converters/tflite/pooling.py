"""Means and sums over windows of height and width."""

from typing import Any, Final

import numpy as np

from lwmport.converters.tflite.elementwise import combine
from lwmport.converters.tflite.emitter import Emitter, Rule
from lwmport.converters.tflite.graph import Tensor
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import composite_attributes


def average_pool(e: Emitter, equation: Any) -> None:
    """Emit AVERAGE_POOL_2D."""
    (x,), (out,) = equation.invars, equation.outvars
    size = composite_attributes(equation)["size"]
    e.bind(out, _mean(e, x, out, (size, size), (size, size)))


def window_sum(e: Emitter, equation: Any) -> None:
    """Emit AVERAGE_POOL_2D times the window's size, for TFLite has no sum over windows."""
    source, (out,) = equation.invars[0], equation.outvars
    params = equation.params
    window, strides = params["window_dimensions"], params["window_strides"]
    ones = (*params["base_dilation"], *params["window_dilation"], window[0], window[-1], strides[0], strides[-1])
    if len(window) != 4 or set(ones) != {1} or any(side for sides in params["padding"] for side in sides):
        raise LoweringError(f"expected windows over height and width without padding, found {params}")
    size = e.graph.constant(np.asarray(np.prod(window), out.aval.dtype))
    e.bind(out, combine(e, "MUL", [_mean(e, source, out, window[1:3], strides[1:3]), size]))


def window_reduce(e: Emitter, equation: Any) -> None:
    """Emit the sum over windows that JAX writes with its own function and start value."""
    inner = [step.primitive.name for step in equation.params["jaxpr"].eqns]
    if inner != ["add"] or e.scalar(equation.invars[1]) != 0:
        raise LoweringError(f"expected windows to be summed from zero, found {', '.join(inner)}")
    window_sum(e, equation)


def _mean(e: Emitter, source: Any, out: Any, window: tuple[int, ...], strides: tuple[int, ...]) -> Tensor:
    options = {
        "padding": "VALID",
        "filterHeight": window[0],
        "filterWidth": window[1],
        "strideH": strides[0],
        "strideW": strides[1],
    }
    return e.emit("AVERAGE_POOL_2D", [e.read(source)], out, options)


RULES: Final[dict[str, Rule]] = {"reduce_window": window_reduce, "reduce_window_sum": window_sum}
