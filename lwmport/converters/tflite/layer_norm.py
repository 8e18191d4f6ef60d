"""Layer normalisation out of operators that XNNPACK runs in one piece."""

from typing import Any

import numpy as np

from lwmport.converters.tflite.elementwise import combine
from lwmport.converters.tflite.emitter import Emitter
from lwmport.converters.tflite.graph import Tensor
from lwmport.graphs.atoms import composite_attributes


def centred_first(e: Emitter, equation: Any) -> None:
    """Emit (x - mean) * RSQRT(MEAN((x - mean)^2) + epsilon) * scale + bias, which loses nothing to a large mean."""
    (x, scale, bias), (out,) = equation.invars, equation.outvars
    value, channels = e.read(x), int(x.aval.shape[-1])
    centred = combine(e, "SUB", [value, _mean(e, value)])
    inverse = _inverse_deviation(e, combine(e, "MUL", [centred, centred]), equation)
    scaled = combine(e, "MUL", [combine(e, "MUL", [centred, inverse]), e.vector(scale, channels)])
    e.bind(out, combine(e, "ADD", [scaled, e.vector(bias, channels)]))


def squared_difference(e: Emitter, equation: Any) -> None:
    """Emit x * factor + (bias - mean * factor), where factor is RSQRT(variance + epsilon) * scale.

    These are the operators of Keras's LayerNormalization, in its order: Compass reads them as one operator of its NPU
    (merge_ln2 of its parser's middle_passes.py).
    """
    (x, scale, bias), (out,) = equation.invars, equation.outvars
    value, channels = e.read(x), int(x.aval.shape[-1])
    mean = _mean(e, value)
    inverse = _inverse_deviation(e, combine(e, "SQUARED_DIFFERENCE", [value, mean]), equation)
    factor = combine(e, "MUL", [inverse, e.vector(scale, channels)])
    shift = combine(e, "SUB", [e.vector(bias, channels), combine(e, "MUL", [mean, factor])])
    e.bind(out, combine(e, "ADD", [combine(e, "MUL", [value, factor]), shift]))


def _inverse_deviation(e: Emitter, squares: Tensor, equation: Any) -> Tensor:
    """Emit RSQRT(MEAN(squares) + epsilon)."""
    epsilon = e.graph.constant(np.asarray(composite_attributes(equation)["epsilon"], np.float32))
    return combine(e, "RSQRT", [combine(e, "ADD", [_mean(e, squares), epsilon])])


def _mean(e: Emitter, value: Tensor) -> Tensor:
    """Emit the mean over the last axis, which stays."""
    last = e.graph.integers([len(value.shape) - 1])
    return e.graph.operation("MEAN", [value, last], (*value.shape[:-1], 1), value.dtype, {"keepDims": True})
