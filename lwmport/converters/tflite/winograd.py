"""Convolving 3x3 with fewer products: 2x2 results out of 4x4 elements by 16 products in place of 36.

F(2x2, 3x3) of Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (arXiv:1509.09308), which is
y = A [(G g) * (B d)] along both axes. B d are depthwise convolutions, which pad as well; G g is computed at conversion
in float64; each product is one FULLY_CONNECTED over all tiles; A are additions. A and B hold 0, 1 and -1 only, and the
sums over channels are a ninth as long as the convolution's, so the error is no larger. XNNPACK besides multiplies
matrices 1.2 to 1.6 times as fast as it convolves, for that goes through a table of pointers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from lwmport.converters.tflite.contraction import fully_connected
from lwmport.converters.tflite.elementwise import combine
from lwmport.converters.tflite.emitter import Emitter
from lwmport.converters.tflite.graph import Tensor
from lwmport.types import Array, Dim

Row: TypeAlias = tuple[float, ...]

CHANNELS_LAST: Final = ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
"""Where JAX has batch and channels, out and in, of NHWC pictures and HWIO kernels."""

MIN_CHANNELS: Final = 64
"""XNNPACK's time for F(2x2, 3x3) by its time for the convolution, two threads with AVX-512, by channels and side:

| channels |  8x8 | 16x16 | 32x32 | 64x64 | 128x128 | 256x256 |
| -------: | ---: | ----: | ----: | ----: | ------: | ------: |
|       32 | 1.00 |  1.22 |  1.29 |  1.03 |    1.11 |    1.51 |
|       64 | 1.38 |  0.85 |  0.71 |  0.64 |    0.81 |    0.90 |
|      128 | 0.79 |  0.58 |  0.46 |  0.50 |    0.58 |    0.61 |
|      256 | 0.69 |  0.47 |  0.36 |  0.46 |    0.45 |         |
|      512 | 0.58 |  0.39 |  0.39 |       |         |         |
|      768 | 0.42 |  0.40 |       |       |         |         |
"""

MIN_PIXELS: Final = 32 * 32
"""Of a picture. Smaller ones have the large kernels: the VQGAN would take 7 % less time, in files 1.4 times as big."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """What one product reads along an axis: a row of B without its zeros at the ends, and the step between its taps.

    It begins where TFLite's SAME lets it: half of what its extent exceeds the stride by lies before the tile.
    """

    taps: Row
    step: int = 1


@dataclass(frozen=True, kw_only=True)
class Minimal:
    """An algorithm for two results of a filter with three taps along an axis; a tile begins every ``stride`` elements.

    ``windows`` are B, ``kernel`` is G, ``results`` are A. Product 1 counts once in each result: it can carry the bias.
    """

    stride: int
    windows: tuple[Window, ...]
    kernel: tuple[Row, ...]
    results: tuple[Row, Row]


F23: Final = Minimal(
    stride=2,
    windows=(Window(taps=(1, 0, -1, 0)), Window(taps=(1, 1)), Window(taps=(-1, 1)), Window(taps=(1, -1), step=2)),
    kernel=((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
    results=((1, 1, 1, 0), (0, 1, -1, -1)),
)
"""F(2, 3): 4 products for 6, of the elements 2i - 1 to 2i + 2 of an axis of even size."""

DOUBLED: Final = Minimal(
    stride=1,
    windows=(Window(taps=(1, -1, 0)), Window(taps=(1,)), Window(taps=(1, -1))),
    kernel=((1, 0, 0), (1, 1, 1), (0, 0, 1)),
    results=((1, 1, 0), (0, 1, -1)),
)
"""F(2, 3) of an axis whose elements stand twice each, on the axis before: one difference is zero, its product goes."""


def convolve(e: Emitter, kernel: Any, value: Tensor, bias: Tensor, algorithm: Minimal) -> Tensor:
    """Emit the convolution of [b, h, w, in] by a JAX kernel [3, 3, in, out], with zeros around the picture."""
    positions = range(len(algorithm.windows))
    halves = []
    for column in positions:
        products = [_product(e, kernel, value, bias, (algorithm, row, column)) for row in positions]
        halves.append([_sum(e, signs, products) for signs in algorithm.results])
    rows = [[_sum(e, signs, half) for signs in algorithm.results] for half in zip(*halves, strict=True)]
    return _interleave(e, rows)


def transform(array: Array, down: Row, across: Row) -> Array:
    """Return one matrix [out, in] of G g, of a kernel g [3, 3, in, out]; computed in float64, rounded once."""
    weights = np.multiply.outer(np.asarray(down, np.float64), np.asarray(across, np.float64))
    total = sum(weight * array[place].T for place, weight in np.ndenumerate(weights) if weight)
    return np.asarray(total, array.dtype)


def _product(e: Emitter, kernel: Any, value: Tensor, bias: Tensor, place: tuple[Minimal, int, int]) -> Tensor:
    """Emit one product for all tiles."""
    algorithm, row, column = place
    _, _, inputs, outputs = kernel.aval.shape
    down, across = algorithm.kernel[row], algorithm.kernel[column]
    label = f"winograd{algorithm.stride}{row}{column}"
    matrix = e.constant(kernel, (outputs, inputs), lambda array: transform(array, down, across), label)
    tiles = _tiles(e, value, (algorithm.windows[row], algorithm.windows[column]), algorithm.stride)
    return fully_connected(e, tiles, matrix, bias if row == column == 1 else None)


def _tiles(e: Emitter, value: Tensor, windows: tuple[Window, Window], stride: int) -> Tensor:
    """Emit one element of B d for all tiles: a depthwise convolution, or nothing where it reads single elements."""
    taps = np.multiply.outer(*(np.asarray(window.taps, value.dtype) for window in windows))
    if taps.size == 1 and stride == 1:
        return value
    batch, height, width, channels = value.shape
    everywhere = np.ascontiguousarray(np.broadcast_to(taps[None, :, :, None], (1, *taps.shape, int(channels))))
    operands = [value, e.graph.constant(everywhere), e.graph.constant(np.zeros(int(channels), value.dtype))]
    steps = {"strideH": stride, "strideW": stride, "depthMultiplier": 1}
    holes = {"dilationHFactor": windows[0].step, "dilationWFactor": windows[1].step}
    shape = (batch, int(height) // stride, int(width) // stride, channels)
    return e.graph.operation("DEPTHWISE_CONV_2D", operands, shape, value.dtype, {"padding": "SAME", **steps, **holes})


def _sum(e: Emitter, signs: Row, parts: Sequence[Tensor]) -> Tensor:
    """Emit the sum of some parts, the first of them positive."""
    (_, total), *others = [(sign, part) for sign, part in zip(signs, parts, strict=True) if sign]
    for sign, part in others:
        total = combine(e, "ADD" if sign > 0 else "SUB", [total, part])
    return total


def _interleave(e: Emitter, rows: Sequence[Sequence[Tensor]]) -> Tensor:
    """Emit CONCATENATION of results [b, h, w, c] to pictures [b, 2 h, 2 w, c]: columns in turns, then rows in turns."""
    batch, height, width, channels = rows[0][0].shape
    wide = [_join(e, row, 3) for row in rows]
    flat = [e.reshape(row, (batch, height, 2 * int(width) * int(channels))) for row in wide]
    return e.reshape(_join(e, flat, 2), (batch, 2 * int(height), 2 * int(width), channels))


def _join(e: Emitter, parts: Sequence[Tensor], axis: int) -> Tensor:
    """Emit CONCATENATION of equal parts."""
    shape = list(parts[0].shape)
    shape[axis] = len(parts) * int(shape[axis])
    return e.graph.operation("CONCATENATION", parts, shape, parts[0].dtype, {"axis": axis})


def is_plain_3x3(e: Emitter, equation: Any) -> bool:
    """Return whether an equation convolves float32 pictures, channels last, by known 3x3 kernels at every position.

    A kernel that is stored in float16 or int8 stays one: its matrices of sums, in float32, take 2 to 7 times the bytes.
    """
    if equation.primitive.name != "conv_general_dilated" or not e.is_known(equation.invars[1]):
        return False
    if e.packed_name(equation.invars[1]) or e.quantised(equation.invars[1]):
        return False
    params, numbers = equation.params, equation.params["dimension_numbers"]
    return (
        (numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec) == CHANNELS_LAST
        and equation.invars[1].aval.shape[:2] == (3, 3)
        and equation.invars[1].aval.dtype == np.float32
        and {*params["window_strides"], *params["rhs_dilation"], *params["lhs_dilation"]} == {1}
        and params["feature_group_count"] == params["batch_group_count"] == 1
    )


def pays(shape: Sequence[Dim], inputs: int, outputs: int) -> bool:
    """Return whether F(2x2, 3x3) of a picture [b, h, w, inputs] is worth its operators and its weights, 16 for 9."""
    height, width = shape[1:3]
    if not isinstance(height, int) or not isinstance(width, int) or height % 2 or width % 2:
        return False
    return min(inputs, outputs) >= MIN_CHANNELS and height * width >= MIN_PIXELS
