"""Root mean square normalisation."""

from typing import Any

import numpy as np

from lwmport.converters.tflite.elementwise import combine
from lwmport.converters.tflite.emitter import Emitter
from lwmport.graphs.atoms import composite_attributes


def mean_of_squares(e: Emitter, equation: Any) -> None:
    """Emit x * RSQRT(MEAN(x * x) + epsilon) * scale, which XNNPACK runs in one piece."""
    (x, scale), (out,) = equation.invars, equation.outvars
    value, epsilon = e.read(x), composite_attributes(equation)["epsilon"]
    shape, last = value.shape, e.graph.integers([len(value.shape) - 1])
    squares = combine(e, "MUL", [value, value])
    mean = e.graph.operation("MEAN", [squares, last], (*shape[:-1], 1), value.dtype, {"keepDims": True})
    raised = combine(e, "ADD", [mean, e.graph.constant(np.asarray(epsilon, np.float32))])
    normal = combine(e, "MUL", [value, combine(e, "RSQRT", [raised])])
    e.bind(out, combine(e, "MUL", [normal, e.vector(scale, int(shape[-1]))]))
