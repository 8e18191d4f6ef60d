"""Group normalisation by the means of channels, for readers whose layout of pictures has the channels last."""

from typing import Any, Final

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx.emitter import CHANNELS_FIRST, Emitter, permuted
from lwmport.converters.onnx.normalisation import mean_over, number
from lwmport.graphs.atoms import composite_attributes, shape_of

SPACE: Final = (2, 3)
"""Axes of a picture [b, c, h, w] that are not its batch and channels."""


def channel_means(e: Emitter, equation: Any) -> None:
    """Emit (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale + bias, in float32.

    The mean of a group is that of the means of its channels, by a small product. No value changes its place: OpenVINO
    turns pictures to channels first, and back, for each GroupNormalization.
    """
    (x, scale, bias), (out,) = equation.invars, equation.outvars
    given, shape = composite_attributes(equation), permuted(shape_of(out), CHANNELS_FIRST)
    small = (shape[0], shape[1], 1, 1)
    wide = e.cast(e.read(x, CHANNELS_FIRST), shape, x.aval.dtype, np.float32)
    mean = _group_mean(e, wide, small, given["groups"])
    centred = e.graph.node("Sub", [wide, mean], shape, np.float32)
    squared = e.graph.node("Mul", [centred, centred], shape, np.float32)
    variance = _group_mean(e, squared, small, given["groups"])
    shifted = e.graph.node("Add", [variance, number(e, given["epsilon"])], small, np.float32)
    inverse = e.graph.node("Reciprocal", [e.graph.node("Sqrt", [shifted], small, np.float32)], small, np.float32)
    factor, offset = (_channels(e, atom, int(shape[1])) for atom in (scale, bias))
    normal = e.graph.node("Mul", [inverse, factor], small, np.float32)
    scaled = e.graph.node("Mul", [centred, normal], shape, np.float32)
    whole = e.graph.node("Add", [scaled, offset], shape, np.float32)
    e.bind(out, e.cast(whole, shape, np.float32, out.aval.dtype), CHANNELS_FIRST)


def _group_mean(e: Emitter, value: ir.Value, small: Any, groups: int) -> ir.Value:
    """Return the mean of each channel's group, float32 [b, c, 1, 1]."""
    batch, channels = small[:2]
    means = mean_over(e, value, (batch, channels), SPACE, keep=False)
    inside = np.full((channels // groups,) * 2, groups / channels, np.float32)
    members = np.kron(np.eye(groups, dtype=np.float32), inside)
    product = e.graph.node("MatMul", [means, e.graph.constant(members, "groups")], (batch, channels), np.float32)
    return e.reshaped(product, (batch, channels), small, np.float32)


def _channels(e: Emitter, atom: Any, channels: int) -> ir.Value:
    shape = (channels, 1, 1)
    return e.cast(e.constant(atom, (0,), shape), shape, atom.aval.dtype, np.float32)
