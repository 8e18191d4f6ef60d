"""Layer normalisation out of operators that XNNPACK runs in one piece."""

from typing import Any

import numpy as np

from lwmport.converters.tflite.elementwise import combine
from lwmport.converters.tflite.emitter import Emitter
from lwmport.converters.tflite.graph import Tensor
from lwmport.graphs.atoms import composite_attributes


def centred_first(e: Emitter, equation: Any) -> None:
    """Emit (x - mean) * RSQRT(MEAN((x - mean)^2) + epsilon) * scale + bias, which loses nothing to a large mean.

    Compass's parser reads it as one LayerNorm.
    """
    (x, scale, bias), (out,) = equation.invars, equation.outvars
    value, channels = e.read(x), int(x.aval.shape[-1])
    centred = combine(e, "SUB", [value, _mean(e, value)])
    epsilon = e.graph.constant(np.asarray(composite_attributes(equation)["epsilon"], np.float32))
    variance = _mean(e, combine(e, "MUL", [centred, centred]))
    inverse = combine(e, "RSQRT", [combine(e, "ADD", [variance, epsilon])])
    scaled = combine(e, "MUL", [combine(e, "MUL", [centred, inverse]), e.vector(scale, channels)])
    e.bind(out, combine(e, "ADD", [scaled, e.vector(bias, channels)]))


def _mean(e: Emitter, value: Tensor) -> Tensor:
    """Emit the mean over the last axis, which stays."""
    last = e.graph.integers([len(value.shape) - 1])
    return e.graph.operation("MEAN", [value, last], (*value.shape[:-1], 1), value.dtype, {"keepDims": True})
