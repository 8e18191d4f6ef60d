"""Rules for convolution and pooling, channels last."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from lwmport.converters.saved_model.emitter import Emitter, Rule
from lwmport.errors import LoweringError

NHWC: Final = (0, 3, 1, 2)
HWIO: Final = (3, 2, 0, 1)
"""JAX's dimension numbers of TensorFlow's layouts: batch or output, channels or input, then height and width."""


def convolve(e: Emitter, equation: Any) -> None:
    """Emit Conv2D, or DepthwiseConv2dNative for one group a channel.

    Raises:
        LoweringError: TensorFlow's CPU has no such convolution.
    """
    source, kernel = equation.invars
    params, numbers = equation.params, equation.params["dimension_numbers"]
    _refuse_unusual(equation)
    value = _ordered(e, e.read(source), _to(numbers.lhs_spec, NHWC))
    weight = _ordered(e, e.read(kernel), _to(numbers.rhs_spec, HWIO))
    value, padding = _padded(e, value, weight, params)
    window = {
        "strides": [1, *params["window_strides"], 1],
        "dilations": [1, *params["rhs_dilation"], 1],
        "padding": padding,
    }
    if params["feature_group_count"] == 1:
        value = e.ops.Conv2D(input=value, filter=weight, **window)
    else:
        value = e.ops.DepthwiseConv2dNative(input=value, filter=_depthwise(e, weight, params), **window)
    e.bind_only(equation, _ordered(e, value, _to(NHWC, numbers.out_spec)))


def window_sum(e: Emitter, equation: Any) -> None:
    """Emit AvgPool times the window's size, for TensorFlow has no sum over windows.

    Raises:
        LoweringError: windows that are padded, dilated, or over the batch or the channels.
    """
    params, dtype = equation.params, str(equation.outvars[0].aval.dtype)
    window, strides = params["window_dimensions"], params["window_strides"]
    ends = (*params["base_dilation"], *params["window_dilation"], window[0], window[-1], strides[0], strides[-1])
    if len(window) != 4 or set(ends) != {1} or any(side for sides in params["padding"] for side in sides):
        raise LoweringError(f"expected windows over height and width without padding, found {params}")
    value = e.read(equation.invars[0])
    mean = e.ops.AvgPool(value=value, ksize=list(window), strides=list(strides), padding="VALID")
    e.bind_only(equation, e.ops.Mul(x=mean, y=e.constant(np.prod(window), dtype)))


def window_reduction(e: Emitter, equation: Any) -> None:
    """Emit what `window_sum` does, for a reduction whose function is written out and adds to zero.

    Raises:
        LoweringError: another function, or another start.
    """
    steps = [step.primitive.name for step in equation.params["jaxpr"].eqns]
    if steps != ["add"] or e.scalar(equation.invars[1]) != 0:
        raise LoweringError(f"expected windows that are added up from 0, found {', '.join(steps)} (reduce_window)")
    window_sum(e, equation)


def _refuse_unusual(equation: Any) -> None:
    params, channels = equation.params, equation.invars[0].aval.shape
    numbers = params["dimension_numbers"]
    if len(channels) != 4:
        raise LoweringError(f"expected a convolution over height and width, found one of {len(channels) - 2} axes")
    if params["batch_group_count"] != 1 or any(size != 1 for size in params["lhs_dilation"]):
        raise LoweringError(f"expected a plain convolution, found a transposed or batch-grouped one: {params}")
    groups = params["feature_group_count"]
    if groups not in (1, channels[numbers.lhs_spec[1]]):
        raise LoweringError(f"expected one group or one a channel, for Conv2D has no other on a CPU; found {groups}")


def _to(have: Sequence[int], want: Sequence[int]) -> list[int]:
    """Return the permutation from one layout to another, both as JAX's dimension numbers."""
    order = [0] * len(want)
    for here, there in zip(have, want, strict=True):
        order[there] = here
    return order


def _ordered(e: Emitter, value: Any, order: list[int]) -> Any:
    return value if order == sorted(order) else e.ops.Transpose(x=value, perm=e.ints(order))


def _padded(e: Emitter, value: Any, weight: Any, params: Any) -> tuple[Any, str]:
    """Return the input and ``SAME`` or ``VALID``, after a Pad where neither says it; readers know those two best."""
    padding = [(int(low), int(high)) for low, high in params["padding"]]
    if not any(side for sides in padding for side in sides):
        return value, "VALID"
    axes = zip(value.shape[1:3], weight.shape[:2], params["window_strides"], params["rhs_dilation"], strict=True)
    if padding == [_same(*axis) for axis in axes]:
        return value, "SAME"
    if min(min(sides) for sides in padding) < 0:
        raise LoweringError(f"expected padding around a picture, found negative padding {padding}")
    paddings = e.constant([(0, 0), *padding, (0, 0)], "int32")
    return e.ops.Pad(input=value, paddings=paddings), "VALID"


def _same(size: int | None, window: int, stride: int, dilation: int) -> tuple[int, int] | None:
    """Return what TensorFlow pads before and behind an axis for ``SAME`` (tf.nn, note on padding)."""
    if size is None:
        return None
    total = max((-(-size // stride) - 1) * stride + (window - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def _depthwise(e: Emitter, weight: Any, params: Any) -> Any:
    """Return a kernel [h, w, 1, channels * multiplier] as TensorFlow's [h, w, channels, multiplier]."""
    height, width, _, outputs = weight.shape
    groups = params["feature_group_count"]
    return e.reshape(weight, [height, width, groups, outputs // groups])


RULES: Final[dict[str, Rule]] = {
    "conv_general_dilated": convolve,
    "reduce_window": window_reduction,
    "reduce_window_sum": window_sum,
}
