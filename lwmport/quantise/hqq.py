"""Half-quadratic quantisation: the grid under which few values have a large error, found without any data.

An error counts by |e|^p with p below 1, so that outliers cost little. In turn, what an error should be is found by
shrinking what it is, and the zero point is moved to the mean of what is then left (Badri and Shaji, "Half-Quadratic
Quantization of Large Machine Learning Models", 2023; constants are those of the authors' code, mobiusml/hqq). There the
zero point stays a fraction. No kernel of ONNX Runtime is fast with that, so it is rounded here, and the scale of a
symmetric grid, which has no zero point to move, is fitted in its place.
"""

from typing import Final

import numpy as np

from lwmport.quantise.rounding import Grid, codes_of, half_away, nearest_grid, reciprocals, values_of
from lwmport.types import Array

NORM: Final = 0.7
BETA: Final = 10.0
GROWTH: Final = 1.01
STEPS: Final = 20


def half_quadratic_grid(values: Array, axis: int, bits: int, *, symmetric: bool) -> Grid:
    """Return the grid that half-quadratic steps lead to; each group keeps the best that it came by, |e|^p summed."""
    grid = nearest_grid(values, axis, bits, symmetric=symmetric)
    best, beta = grid, BETA
    least = np.full(grid.scales.shape, np.inf, np.float32)
    for _ in range(STEPS):
        codes = codes_of(values, grid, bits)
        errors = values - values_of(codes, grid)
        sizes = np.abs(errors)
        slopes = _powers(sizes)
        cost = (sizes * slopes).sum(axis, keepdims=True)
        better = cost < least
        if not better.any():
            break
        best = Grid(*(np.where(better, new, old) for new, old in zip(grid, best, strict=True)))
        least = np.minimum(cost, least)
        wanted = values - np.copysign(np.maximum(sizes - slopes / np.float32(beta), 0), errors)
        grid, beta = _fitted(wanted, codes, grid, axis, bits, symmetric=symmetric), beta * GROWTH
    return best


def _powers(sizes: Array) -> Array:
    """Return |e|^(p - 1), which is finite for what is not zero."""
    found = np.log(np.maximum(sizes, np.float32(1e-30)))
    found *= np.float32(NORM - 1)
    return np.exp(found, out=found)


def _fitted(wanted: Array, codes: Array, grid: Grid, axis: int, bits: int, *, symmetric: bool) -> Grid:
    """Return the grid of some codes that is nearest to the values that are wanted of them."""
    zeros = grid.zeros
    if not symmetric:
        moved = codes - wanted * reciprocals(grid.scales)
        middle = np.clip(moved.mean(axis, keepdims=True, dtype=np.float32), 0, (1 << bits) - 1)
        zeros = half_away(middle).astype(np.uint8)
    steps = codes.astype(np.float32)
    steps -= zeros
    over = (steps * wanted).sum(axis, keepdims=True)
    under = np.square(steps).sum(axis, keepdims=True)
    return Grid(np.divide(over, under, out=grid.scales.copy(), where=under != 0), zeros)
