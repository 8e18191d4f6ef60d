"""Forms of composites that vendors' compilers ask for: the same function, in the shape that their kernels take."""

from math import prod
from typing import Any

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx.emitter import CHANNELS_FIRST, Emitter, identity, permuted
from lwmport.graphs.atoms import composite_attributes, shape_of


def instance_normalization_of_rank_4(e: Emitter, equation: Any) -> None:
    """Emit InstanceNormalization over [batch, groups, rest, width], then the scale and bias of each channel.

    CANN fuses Reshape, InstanceNormalization, Reshape, Mul and Add to one group norm, whatever the axes; where it does
    not, the kernel of Ascend310P takes 4 or 5 axes only.
    """
    (x, scale, bias), (out,) = equation.invars, equation.outvars
    given = composite_attributes(equation)
    groups, epsilon = given["groups"], given["epsilon"]
    batch, channels, *spatial = permuted(shape_of(x), CHANNELS_FIRST)
    rest = channels // groups * prod(spatial[:-1])
    inner = (batch, groups, rest, spatial[-1])
    dtype = out.aval.dtype
    grouped = e.graph.node("Reshape", [e.read(x, CHANNELS_FIRST), _ints(e, [0, *inner[1:]])], inner, dtype)
    ones, zeros = (e.graph.constant(np.full(groups, value, dtype)) for value in (1, 0))
    normal = e.graph.node("InstanceNormalization", [grouped, ones, zeros], inner, dtype, {"epsilon": epsilon})
    whole = e.emit("Reshape", [normal, _ints(e, [0, channels, *spatial])], out, CHANNELS_FIRST)
    factor, offset = (e.constant(atom, (0,), (channels, 1, 1)) for atom in (scale, bias))
    scaled = e.emit("Mul", [whole, factor], out, CHANNELS_FIRST)
    e.bind(out, e.emit("Add", [scaled, offset], out, CHANNELS_FIRST), CHANNELS_FIRST)


def resize_without_ties(e: Emitter, equation: Any) -> None:
    """Emit Resize to the nearest pixel with half_pixel coordinates.

    CANN ignores nearest_mode. With these coordinates and a whole factor no pixel lies half way between two others, but
    nearer to the one that it repeats, so that every way of rounding gives the same.
    """
    (x,), (out,) = equation.invars, equation.outvars
    factor = composite_attributes(equation)["factor"]
    attributes = {"mode": "nearest", "coordinate_transformation_mode": "half_pixel"}
    scales = e.graph.constant(np.asarray([1, 1, factor, factor], np.float32))
    nothing = e.graph.constant(np.zeros(0, np.float32), "roi") if e.graph.opset < 13 else None
    value = e.emit("Resize", [e.read(x, CHANNELS_FIRST), nothing, scales], out, CHANNELS_FIRST, attributes)
    e.bind(out, value, CHANNELS_FIRST)


def softmax_of_the_last_axis(e: Emitter, equation: Any) -> None:
    """Emit Softmax over the last axis of a value in JAX's own order.

    Before opset 13 Softmax took all axes from ``axis`` on as one: over the last one alone both meanings are the same.
    """
    (x,), (out,) = equation.invars, equation.outvars
    order = identity(len(shape_of(x)))
    e.bind(out, e.emit("Softmax", [e.read(x, order)], out, order, {"axis": len(order) - 1}), order)


def _ints(e: Emitter, values: list[int]) -> ir.Value:
    return e.graph.constant(np.asarray(values, np.int64))
