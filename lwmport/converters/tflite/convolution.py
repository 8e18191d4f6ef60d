"""Rules for convolution, its padding and its bias, channels last."""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from lwmport.converters.tflite import doubling, quantised, rounded, winograd
from lwmport.converters.tflite.bias import take_bias
from lwmport.converters.tflite.emitter import Emitter, Rule
from lwmport.converters.tflite.graph import Channels, Tensor
from lwmport.converters.tflite.shapes import pad, padding_of
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import shape_of
from lwmport.types import Dim, Levels

Sides: TypeAlias = Sequence[tuple[int, int]]
"""Elements added before and behind, for height and width."""


def convolve(e: Emitter, equation: Any) -> None:
    """Emit CONV_2D with its bias, and PAD where TFLite's own SAME and VALID do not say the padding."""
    _refuse_unusual(equation)
    source, kernel = equation.invars
    out, bias = _bias(e, equation)
    doubled = doubling.noted(e, source)
    if doubled is not None:
        e.bind(out, winograd.convolve(e, kernel, e.read(doubled), bias, winograd.DOUBLED))
        return
    source, _ = _padding_before(e, equation)
    codes = rounded.codes_of(e, source)
    if codes is None or not isinstance(_filter(e, equation, kernel).scales, Channels):
        e.bind(out, _convolved(e, equation, e.read(source), bias))
        return
    out, levels = rounded.take_levels(e, out)
    bias = rounded.bias(e, codes, _filter(e, equation, kernel), bias)
    rounded.bind(e, out, _convolved(e, equation, codes, bias, levels))


def _convolved(e: Emitter, equation: Any, value: Tensor, bias: Tensor, levels: Levels | None = None) -> Tensor:
    """Return the convolution of a value: numbers, or codes of numbers that it is rounded to."""
    numbers, (out,) = equation.params["dimension_numbers"], equation.outvars
    _, sides = _padding_before(e, equation)
    value, padding = _padded(e, equation, e.transpose(value, _order(numbers.lhs_spec)), sides)
    shape = [shape_of(out)[axis] for axis in _order(numbers.out_spec)]
    options, dtype = {**_steps(equation), "padding": padding}, out.aval.dtype if levels is None else np.int8
    operands = [value, _filter(e, equation, equation.invars[1]), bias]
    found = e.graph.operation("CONV_2D", operands, shape, dtype, options, levels)
    return e.transpose(found, [_order(numbers.out_spec).index(axis) for axis in range(4)])


def convolve_by_tiles(e: Emitter, equation: Any) -> None:
    """Emit the convolution by a minimal algorithm, with its bias and its padding."""
    source, _ = _padding_before(e, equation)
    out, bias = _bias(e, equation)
    e.bind(out, winograd.convolve(e, equation.invars[1], e.read(source), bias, winograd.F23))


def fits_tiles(e: Emitter, equation: Any) -> bool:
    """Return whether a convolution is one that a minimal algorithm can do, and does in less time."""
    source, sides = _padding_before(e, equation)
    return (
        doubling.noted(e, source) is None
        and winograd.is_plain_3x3(e, equation)
        and tuple(map(tuple, sides)) == ((1, 1), (1, 1))
        and winograd.pays(shape_of(source), *equation.invars[1].aval.shape[2:])
    )


def _bias(e: Emitter, equation: Any) -> tuple[Any, Tensor]:
    """Return the variable to bind and the bias, or zeros: XNNPACK takes no convolution without a bias."""
    (out,) = equation.outvars
    axis = equation.params["dimension_numbers"].out_spec[1]
    variable, bias = take_bias(e, out, axis)
    return variable, bias or e.graph.constant(np.zeros(out.aval.shape[axis], out.aval.dtype))


def absorb_padding(e: Emitter, equation: Any) -> None:
    """Leave zero padding of height and width to the one convolution that reads it, and emit PAD for any other."""
    (source, fill), (out,) = equation.invars, equation.outvars
    reader = e.sole_reader(out)
    if reader is None or reader.primitive.name != "conv_general_dilated" or e.scalar(fill) != 0:
        pad(e, equation)
        return
    config = padding_of(equation)
    batch, channel, *spatial = reader.params["dimension_numbers"].lhs_spec
    if any((*config[batch], *config[channel])):
        pad(e, equation)
        return
    own = reader.params["padding"]
    sides = [(config[axis][0] + low, config[axis][1] + high) for axis, (low, high) in zip(spatial, own, strict=True)]
    e.notes["padded", out] = (source, sides)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return what TFLite's SAME adds before and behind an axis; the odd element goes behind."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _padding_before(e: Emitter, equation: Any) -> tuple[Any, Sides]:
    """Return the input of a convolution before what pads it, and what is padded in all."""
    source: Any = equation.invars[0]
    found: tuple[Any, Sides] = e.notes.get(("padded", source), (source, equation.params["padding"]))
    return found


def _padded(e: Emitter, equation: Any, value: Tensor, sides: Sides) -> tuple[Tensor, str]:
    """Return the input and the name of the padding, after a PAD where neither name says it."""
    sides = [(int(low), int(high)) for low, high in sides]
    sizes = [_static(size) for size in value.shape[1:3]]
    steps = zip(sizes, _extents(equation), equation.params["window_strides"], strict=True)
    if not any(map(any, sides)):
        return value, "VALID"
    if sides == [same_padding(*step) for step in steps]:
        return value, "SAME"
    if min(map(min, sides)) < 0:
        raise LoweringError(f"expected padding around an array, found negative padding {sides}")
    height, width = (size + low + high for size, (low, high) in zip(sizes, sides, strict=True))
    config = e.graph.constant(np.asarray([(0, 0), *sides, (0, 0)], np.int32))
    shape = (value.shape[0], height, width, value.shape[3])
    return e.graph.operation("PAD", [value, config], shape, value.dtype), "VALID"


def _static(size: Dim) -> int:
    if not isinstance(size, int):
        raise LoweringError(f"expected a static height and width to convolve, found {size}; fix the batch")
    return size


def _extents(equation: Any) -> list[int]:
    """Return the height and width that the kernel spans, holes included."""
    kernel, numbers = equation.invars[1].aval.shape, equation.params["dimension_numbers"]
    sizes = [kernel[axis] for axis in numbers.rhs_spec[2:]]
    return [(size - 1) * hole + 1 for size, hole in zip(sizes, equation.params["rhs_dilation"], strict=True)]


def _filter(e: Emitter, equation: Any, kernel: Any) -> Tensor:
    """Return the kernel as [out, height, width, in], TFLite's order."""
    out, inner, height, width = equation.params["dimension_numbers"].rhs_spec
    order = (out, height, width, inner)
    if not e.is_known(kernel):
        return e.transpose(e.read(kernel), order)
    shape = [kernel.aval.shape[axis] for axis in order]
    found = quantised.kernel_of(e, kernel, order) if equation.params["feature_group_count"] == 1 else None
    if found is not None:
        return quantised.constant(e, found, shape)
    return e.constant(kernel, shape, lambda array: array.transpose(order), "ohwi")


def _steps(equation: Any) -> dict[str, int]:
    (down, right), (hole_down, hole_right) = equation.params["window_strides"], equation.params["rhs_dilation"]
    return {"strideH": down, "strideW": right, "dilationHFactor": hole_down, "dilationWFactor": hole_right}


def _order(spec: tuple[int, ...]) -> list[int]:
    """Return the axes of an operand in the order batch, height, width, channels."""
    return [spec[0], *spec[2:], spec[1]]


def _refuse_unusual(equation: Any) -> None:
    params = equation.params
    if params["batch_group_count"] != 1 or any(size != 1 for size in params["lhs_dilation"]):
        raise LoweringError(f"expected a plain convolution, found a transposed or batch-grouped one: {params}")
    axes = len(params["window_strides"])
    if axes != 2:
        raise LoweringError(f"expected a convolution over height and width, found one over {axes} axes: CONV_2D is 2-D")


RULES: Final[dict[str, Rule]] = {"conv_general_dilated": convolve, "pad": absorb_padding}
