"""Grids of TFLite's kernels: positive scales, zero in the middle, and at 8 bits as many codes below it as above.

Its specification of 8 bits keeps weights within -127 and 127, so that kernels may add two products in 16 bits. XNNPACK
refuses a scale that is zero, negative or denormal, and takes those of blocks in bfloat16, while the file has them in
float16: what is stored is a number of both.
"""

from functools import partial
from typing import Final

import numpy as np

from lwmport.quantise.mse import drawn_in, squared_error
from lwmport.quantise.rounding import Grid, middle
from lwmport.types import Array, dtype_of

LEAST: Final = {"float16": np.float32(2**-24), "float32": np.finfo(np.float32).tiny}
"""dtype of scales -> the least one: in float16 the least of all numbers, which is a normal one of bfloat16."""


def nearest_even_grid(values: Array, axis: int, bits: int, *, symmetric: bool = True) -> Grid:
    """Return the grid whose largest code is the value of largest magnitude in each group; that of zeros has scale 1."""
    del symmetric  # it is
    largest = np.maximum(values.max(axis, keepdims=True), -values.min(axis, keepdims=True))
    scales = np.where(largest == 0, np.float32(1), largest / np.float32(middle(bits) - 1))
    return Grid(scales, np.full(scales.shape, middle(bits), np.uint8))


def least_error_even_grid(values: Array, axis: int, bits: int, *, symmetric: bool = True) -> Grid:
    """Return the same grid, drawn in by the factor with the least sum of squared errors."""
    usual = nearest_even_grid(values, axis, bits)
    errors = partial(squared_error, values, axis=axis, bits=bits, floor=least_code(bits))
    return drawn_in(values, usual, axis, bits, symmetric=symmetric, errors=errors)


def least_code(bits: int) -> int:
    """Return the least code that a weight may have: of 8 bits not the one that stands for -128."""
    return int(bits == 8)


def storable(scales: Array, dtype: str) -> Array:
    """Return the scales as kernels read them, float32: of ``dtype``, which holds no bit more than bfloat16 if 16."""
    if dtype == "float16":
        scales = scales.astype(dtype_of("bfloat16"))
    return np.maximum(scales.astype(dtype).astype(np.float32), LEAST[dtype])
