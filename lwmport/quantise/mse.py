"""The grid of least squared error: the extremes of a group, drawn in by the factor that fits its values best.

A code at the end of the grid then stands for a value that lies beyond it. What is lost there is won in all the others,
whose steps are smaller; most where a group has one large value.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np

from lwmport.quantise.rounding import Grid, codes_of, half_away, nearest_grid, values_of
from lwmport.types import Array

FACTORS: Final = tuple(1 - step / 20 for step in range(11))
"""By how much the extremes are drawn in: from not at all, which is rounding to nearest, to one half."""


def least_error_grid(values: Array, axis: int, bits: int, *, symmetric: bool, costs: Array | float = 1.0) -> Grid:
    """Return the grid with the least sum of squared errors in each group, the wider one where several have it.

    ``costs`` are what an error at each value costs, to broadcast over the values.
    """
    usual = nearest_grid(values, axis, bits, symmetric=symmetric)
    error = partial(squared_error, values, axis=axis, bits=bits, costs=costs)
    return drawn_in(values, usual, axis, bits, symmetric=symmetric, errors=error)


def drawn_in(
    values: Array, usual: Grid, axis: int, bits: int, *, symmetric: bool, errors: Callable[..., Array]
) -> Grid:
    """Return a grid, or in each group the same drawn in by the factor with the least of ``errors``."""
    best, least = usual, errors(grid=usual)
    for factor in FACTORS[1:]:
        grid = narrowed(values, usual, axis, bits, np.float32(factor), symmetric=symmetric)
        error = errors(grid=grid)
        better = error < least
        best = Grid(*(np.where(better, new, old) for new, old in zip(grid, best, strict=True)))
        least = np.minimum(error, least)
    return best


def squared_error(values: Array, grid: Grid, axis: int, bits: int, floor: int = 0, costs: Array | float = 1.0) -> Array:
    """Return the sum of the squared errors of each group by what they cost, float32 with 1 on the axis.

    No code is below ``floor``.
    """
    found = values_of(codes_of(values, grid, bits, floor), grid)
    found -= values
    np.square(found, out=found)
    found *= np.float32(costs)
    total: Array = found.sum(axis, keepdims=True)
    return total


def narrowed(values: Array, usual: Grid, axis: int, bits: int, factor: np.float32, *, symmetric: bool) -> Grid:
    """Return the grid of extremes drawn in by a factor, with a zero point of its own."""
    scales = usual.scales * factor
    if symmetric:
        return Grid(scales, usual.zeros)
    least = np.minimum(values.min(axis, keepdims=True), 0) * factor
    zeros = np.divide(-least, scales, out=np.zeros_like(scales), where=scales != 0)
    return Grid(scales, half_away(np.clip(zeros, 0, (1 << bits) - 1)).astype(np.uint8))
