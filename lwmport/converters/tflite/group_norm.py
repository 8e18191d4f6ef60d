"""Group normalisation out of operators that XNNPACK runs on whole feature maps.

Channel means come first, over rows and then over columns, so that each sum is short (XNNPACK adds naively) and the
rows are shared by its threads; a mean of squares is read off x in one pass, for XNNPACK fuses the square into the
sum. What follows works on [b, 1, 1, c] and [b, 1, 1, groups] and costs nothing, until one MUL and one ADD.
"""

from typing import Any

import numpy as np

from lwmport.converters.tflite.contraction import fully_connected
from lwmport.converters.tflite.elementwise import combine
from lwmport.converters.tflite.emitter import Emitter
from lwmport.converters.tflite.graph import Tensor
from lwmport.graphs.atoms import composite_attributes
from lwmport.types import Array


def channel_means(e: Emitter, equation: Any) -> None:
    """Emit x * factor + shift, where factor is scale / deviation and shift is bias - mean * factor."""
    (x, scale, bias), (out,) = equation.invars, equation.outvars
    given = composite_attributes(equation)
    value, channels = e.read(x), int(x.aval.shape[-1])
    average = e.graph.constant(_membership(given["groups"], channels).T * np.float32(given["groups"] / channels))
    mean = fully_connected(e, _mean(e, value), average)
    squares = fully_connected(e, _mean(e, combine(e, "MUL", [value, value])), average)
    inverse = _inverse_deviation(e, mean, squares, given["epsilon"])
    spread = e.constant(
        scale,
        (channels, given["groups"]),
        lambda array: array[:, None] * _membership(given["groups"], channels),
        "spread",
    )
    factor = fully_connected(e, inverse, spread)
    shift = fully_connected(
        e, combine(e, "NEG", [combine(e, "MUL", [mean, inverse])]), spread, e.vector(bias, channels)
    )
    e.bind(out, combine(e, "ADD", [combine(e, "MUL", [value, factor]), shift]))


def group_moments(e: Emitter, equation: Any) -> None:
    """Emit the mean and the mean squared difference of each group of [b, h, w, groups, c / groups].

    These are the operators of Keras's GroupNormalization, in its order: Compass reads them as one operator of its NPU.
    """
    (x, scale, bias), (out,) = equation.invars, equation.outvars
    given, channels = composite_attributes(equation), int(x.aval.shape[-1])
    groups = given["groups"]
    each = (1, 1, 1, groups, channels // groups)
    value = e.read(x)
    grouped = e.reshape(value, (*value.shape[:-1], *each[3:]))
    mean = _group_mean(e, grouped)
    centred = combine(e, "SUB", [grouped, mean])
    variance = _group_mean(e, combine(e, "MUL", [centred, centred]))
    epsilon = e.graph.constant(np.asarray(given["epsilon"], np.float32))
    inverse = combine(e, "RSQRT", [combine(e, "ADD", [variance, epsilon])])
    factor = combine(e, "MUL", [inverse, e.constant(scale, each, lambda array: array.reshape(each), "groups")])
    offset = e.constant(bias, each, lambda array: array.reshape(each), "groups")
    shift = combine(e, "SUB", [offset, combine(e, "MUL", [mean, factor])])
    whole = combine(e, "ADD", [combine(e, "MUL", [grouped, factor]), shift])
    e.bind(out, e.reshape(whole, value.shape))


def _group_mean(e: Emitter, value: Tensor) -> Tensor:
    """Emit the mean over rows, columns and the channels of a group: [b, 1, 1, groups, 1]."""
    shape = (value.shape[0], 1, 1, value.shape[3], 1)
    return e.graph.operation("MEAN", [value, e.graph.integers([1, 2, 4])], shape, value.dtype, {"keepDims": True})


def _inverse_deviation(e: Emitter, mean: Tensor, squares: Tensor, epsilon: float) -> Tensor:
    """Emit 1 / sqrt(max(E[x^2] - E[x]^2, 0) + epsilon)."""
    zero, small = (e.graph.constant(np.asarray(number, np.float32)) for number in (0, epsilon))
    variance = combine(e, "SUB", [squares, combine(e, "MUL", [mean, mean])])
    return combine(e, "RSQRT", [combine(e, "ADD", [combine(e, "MAXIMUM", [variance, zero]), small])])


def _mean(e: Emitter, value: Tensor) -> Tensor:
    """Emit the mean over rows and then over columns of [b, h, w, c]: [b, 1, 1, c]."""
    batch, height, _, channels = value.shape
    for axis, shape in ((2, (batch, height, 1, channels)), (1, (batch, 1, 1, channels))):
        value = e.graph.operation("MEAN", [value, e.graph.integers([axis])], shape, value.dtype, {"keepDims": True})
    return value


def _membership(groups: int, channels: int) -> Array:
    """Return [channels, groups] with 1 where the channel belongs to the group."""
    return np.repeat(np.eye(groups, dtype=np.float32), channels // groups, axis=0)
