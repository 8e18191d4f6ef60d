"""Rounding to nearest: groups of numbers become codes of a few bits, with a scale and a zero point for each group.

A code ``q`` stands for ``(q - zero) * scale``. Values are arrays in which one axis runs along a group; scales and zero
points have the same shape with 1 on that axis. The extremes, the scale and every code are those of ONNX Runtime's
default quantiser (onnxruntime 1.20 to 1.32, mlas/lib/q4_dq.cpp), byte for byte.
"""

from typing import NamedTuple

import numpy as np

from lwmport.types import Array


class Grid(NamedTuple):
    """The numbers that the codes of each group stand for: float32 scales, and zero points as uint8."""

    scales: Array
    zeros: Array


def middle(bits: int) -> int:
    """Return the zero point of symmetric codes, which is not stored."""
    return 1 << (bits - 1)


def nearest_grid(values: Array, axis: int, bits: int, *, symmetric: bool) -> Grid:
    """Return the grid that spans the extremes of each group.

    A symmetric one reaches the value of largest magnitude with its least code, so that its scale has the sign that
    this value has not. Another one spans from the least to the largest, zero included.
    """
    least, largest = values.min(axis, keepdims=True), values.max(axis, keepdims=True)
    if symmetric:
        scales = np.where(np.abs(largest) > np.abs(least), largest, least) / np.float32(-middle(bits))
        return Grid(scales, np.full(scales.shape, middle(bits), np.uint8))
    top = np.float32((1 << bits) - 1)
    least, largest = np.minimum(least, 0), np.maximum(largest, 0)
    scales = (largest - least) / top
    zeros = np.divide(-least, scales, out=np.zeros_like(scales), where=scales != 0)
    return Grid(scales, half_away(np.clip(zeros, 0, top)).astype(np.uint8))


def without_least(grid: Grid, bits: int) -> Grid:
    """Return a symmetric grid whose scales are positive and which does without its least code, as convolutions have it.

    It still reaches as far on both sides.
    """
    middle_ = np.float32(middle(bits))
    return Grid(np.abs(grid.scales) * (middle_ / (middle_ - 1)), grid.zeros)


def codes_of(values: Array, grid: Grid, bits: int, least: int = 0) -> Array:
    """Return the nearest code of each value, uint8: ``round(value * (1 / scale) + zero)``, halves away from zero.

    None is below ``least``.

    Twice the number is cut off and half of what is left rounds as wanted: n + 1/2 becomes 2n + 1, then n + 1.
    """
    # Two is a power of two: it changes no rounding of the product and of the sum.
    doubled = values * (2 * reciprocals(grid.scales))
    doubled += 2 * grid.zeros.astype(np.float32)
    np.clip(doubled, 2 * least, 2 * ((1 << bits) - 1), out=doubled)
    codes = doubled.astype(np.uint8 if bits < 8 else np.uint16)
    codes += 1
    codes >>= 1
    found: Array = codes.astype(np.uint8, copy=False)
    return found


def reciprocals(scales: Array) -> Array:
    """Return 1 / scale, and 0 where that is no number: of a group of zeros."""
    with np.errstate(divide="ignore", over="ignore"):
        found = np.float32(1) / scales
    return np.where(np.isfinite(found), found, np.float32(0))


def values_of(codes: Array, grid: Grid) -> Array:
    """Return what codes stand for, float32: the difference to the zero point is exact, the product rounded once."""
    made = codes.astype(np.float32)
    made -= grid.zeros
    made *= grid.scales
    return made


def half_away(values: Array) -> Array:
    """Return numbers that are not negative rounded to whole ones, halves upwards."""
    whole = np.floor(values)
    return whole + (values - whole >= np.float32(0.5))
