"""Doubling the size and convolving 3x3, as four 2x2 convolutions of the small picture: 16 products for 36.

Of nine taps on a doubled picture several fall on one original pixel, so their weights add up. Row 2i + a of the
result reads rows i - 1 and i for a = 0, and rows i and i + 1 for a = 1; columns likewise. The four results are the
phases of the large picture, which DepthToSpace interleaves.
"""

from itertools import product
from typing import Any

import numpy as np

from lwmport.converters.onnx.emitter import CHANNELS_FIRST, Emitter, permuted
from lwmport.graphs.atoms import composite_attributes, shape_of
from lwmport.types import Array


def upsampled_input(e: Emitter, equation: Any) -> Any:
    """Return what a convolution's input was before doubling, if `leave_to_convolution` left the doubling to it."""
    return e.notes.get(("doubled", equation.invars[0]))


def leave_to_convolution(e: Emitter, equation: Any) -> bool:
    """Return whether an upsampling is left to the convolution that alone reads it, and note it for that rule."""
    (out,) = equation.outvars
    reader = e.sole_reader(out)
    if composite_attributes(equation)["factor"] != 2 or reader is None or not _is_plain_3x3(e, reader):
        return False
    e.notes["doubled", out] = equation.invars[0]
    return True


def convolve_phases(e: Emitter, equation: Any, source: Any, out: Any, bias: list[Any]) -> None:
    """Emit the four convolutions, Concat and DepthToSpace, and bind the result to ``out``."""
    kernel = equation.invars[1]
    batch, channels, height, width = permuted(shape_of(out), CHANNELS_FIRST)
    small = (batch, channels, int(height) // 2, int(width) // 2)
    value = e.read(source, CHANNELS_FIRST)
    parts = [
        e.graph.node("Conv", [value, _phase_kernel(e, kernel, a, b), *bias], small, out.aval.dtype, _attributes(a, b))
        for a, b in product((0, 1), repeat=2)
    ]
    joined = (batch, 4 * int(channels), *small[2:])
    together = e.graph.node("Concat", parts, joined, out.aval.dtype, {"axis": 1})
    attributes = {"blocksize": 2, "mode": "DCR"}
    e.bind(out, e.emit("DepthToSpace", [together], out, CHANNELS_FIRST, attributes), CHANNELS_FIRST)


def fold_taps(kernel: Array, axis: int, phase: int) -> Array:
    """Return a kernel with its three taps along an axis folded to the two that one phase reads."""
    first, middle, last = np.split(kernel, 3, axis=axis)
    taps = [first, middle + last] if phase == 0 else [first + middle, last]
    return np.concatenate(taps, axis=axis)


def _is_plain_3x3(e: Emitter, equation: Any) -> bool:
    if equation.primitive.name != "conv_general_dilated" or not e.is_known(equation.invars[1]):
        return False
    # Four kernels of sums, in float32, take 3.6 times the bytes of one that is stored in two bytes a value.
    if e.packed_name(equation.invars[1]) or e.quantised(equation.invars[1]):
        return False
    params, numbers = equation.params, equation.params["dimension_numbers"]
    return (
        (numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec) == (CHANNELS_FIRST, (3, 2, 0, 1), CHANNELS_FIRST)
        and equation.invars[1].aval.shape[:2] == (3, 3)
        and tuple(map(tuple, params["padding"])) == ((1, 1), (1, 1))
        and {*params["window_strides"], *params["rhs_dilation"], *params["lhs_dilation"]} == {1}
        and params["feature_group_count"] == params["batch_group_count"] == 1
    )


def _phase_kernel(e: Emitter, kernel: Any, a: int, b: int) -> Any:
    """Return the 2x2 kernel of one phase [out, in, 2, 2], of a JAX kernel [3, 3, in, out]."""
    _, _, inputs, outputs = kernel.aval.shape

    def fold(array: Array) -> Array:
        return fold_taps(fold_taps(array, 0, a), 1, b).transpose(3, 2, 0, 1)

    return e.promise(kernel, (outputs, inputs, 2, 2), fold, f"/phase{a}{b}")


def _attributes(a: int, b: int) -> dict[str, Any]:
    """Phase 0 reads one row before the picture and none behind, phase 1 the other way round."""
    return {"kernel_shape": [2, 2], "pads": [1 - a, 1 - b, a, b], "strides": [1, 1], "dilations": [1, 1], "group": 1}
