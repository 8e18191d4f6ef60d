"""Doubling the size and convolving 3x3, as four 2x2 convolutions of the small picture: 16 products for 36.

Of nine taps on a doubled picture several fall on one original pixel, so their weights add up. Row 2i + a of the
result reads rows i - 1 and i for a = 0, and rows i and i + 1 for a = 1; columns likewise. The four results are put side
by side in memory, which two CONCATENATIONs do. TRANSPOSE_CONV says the same in one operator, but XNNPACK takes 2 to 10
times as long for it, and it cannot leave the batch open.
"""

from itertools import product
from typing import Any

import numpy as np

from lwmport.converters.tflite.emitter import Emitter
from lwmport.converters.tflite.graph import Tensor
from lwmport.graphs.atoms import composite_attributes
from lwmport.types import Array

CHANNELS_LAST = ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
"""Where JAX has batch and channels, out and in, of NHWC pictures and HWIO kernels."""


def can_leave(e: Emitter, equation: Any) -> bool:
    """Return whether an upsampling doubles, and one plain 3x3 convolution alone reads the result."""
    reader = e.sole_reader(equation.outvars[0])
    return composite_attributes(equation)["factor"] == 2 and reader is not None and _is_plain_3x3(e, reader)


def leave_to_convolution(e: Emitter, equation: Any) -> None:
    """Emit nothing: the convolution that reads the result doubles by itself."""
    e.notes["doubled", equation.outvars[0]] = equation.invars[0]


def noted(e: Emitter, variable: Any) -> Any:
    """Return what a convolution's input was before doubling, if the doubling was left to the convolution."""
    return e.notes.get(("doubled", variable))


def convolve(e: Emitter, equation: Any, value: Tensor, bias: Tensor) -> Tensor:
    """Emit the four convolutions and put their results side by side."""
    batch, height, width, _ = value.shape
    channels = equation.outvars[0].aval.shape[3]
    parts = [_phase(e, equation, value, phase, bias) for phase in product((0, 1), repeat=2)]
    rows = [_join(e, pair, 3) for pair in (parts[:2], parts[2:])]
    rows = [e.reshape(row, (batch, height, 2 * int(width) * channels)) for row in rows]
    return e.reshape(_join(e, rows, 2), (batch, 2 * int(height), 2 * int(width), channels))


def fold_taps(kernel: Array, axis: int, phase: int) -> Array:
    """Return a kernel with its three taps along an axis folded to the two that one phase reads."""
    first, middle, last = np.split(kernel, 3, axis=axis)
    taps = [first, middle + last] if phase == 0 else [first + middle, last]
    return np.concatenate(taps, axis=axis)


def _phase(e: Emitter, equation: Any, value: Tensor, phase: tuple[int, ...], bias: Tensor) -> Tensor:
    """Emit one 2x2 convolution. Phase 0 reads one row before the picture and none behind, phase 1 the reverse."""
    batch, height, width, inputs = value.shape
    sides = e.graph.constant(np.asarray([(0, 0), *((1 - a, a) for a in phase), (0, 0)], np.int32))
    padded = (batch, int(height) + 1, int(width) + 1, inputs)
    source = e.graph.operation("PAD", [value, sides], padded, value.dtype)
    kernel = _phase_kernel(e, equation.invars[1], phase)
    shape, options = (batch, height, width, kernel.shape[0]), {"padding": "VALID", "strideH": 1, "strideW": 1}
    return e.graph.operation("CONV_2D", [source, kernel, bias], shape, value.dtype, options)


def _phase_kernel(e: Emitter, kernel: Any, phase: tuple[int, ...]) -> Tensor:
    """Return the 2x2 kernel of one phase [out, 2, 2, in], of a JAX kernel [3, 3, in, out]."""
    _, _, inputs, outputs = kernel.aval.shape

    def fold(array: Array) -> Array:
        return fold_taps(fold_taps(array, 0, phase[0]), 1, phase[1]).transpose(3, 0, 1, 2)

    return e.constant(kernel, (outputs, 2, 2, inputs), fold, f"phase{phase[0]}{phase[1]}")


def _join(e: Emitter, parts: list[Tensor], axis: int) -> Tensor:
    """Emit CONCATENATION of equal parts."""
    shape = list(parts[0].shape)
    shape[axis] = len(parts) * int(shape[axis])
    return e.graph.operation("CONCATENATION", parts, shape, parts[0].dtype, {"axis": axis})


def _is_plain_3x3(e: Emitter, equation: Any) -> bool:
    if equation.primitive.name != "conv_general_dilated" or not e.is_known(equation.invars[1]):
        return False
    params, numbers = equation.params, equation.params["dimension_numbers"]
    return (
        (numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec) == CHANNELS_LAST
        and equation.invars[1].aval.shape[:2] == (3, 3)
        and tuple(map(tuple, params["padding"])) == ((1, 1), (1, 1))
        and {*params["window_strides"], *params["rhs_dilation"], *params["lhs_dilation"]} == {1}
        and params["feature_group_count"] == params["batch_group_count"] == 1
    )
