"""Other methods than rounding to nearest lose less, each by its own measure, and take any group."""

import numpy as np
import pytest

from lwmport.quantise.hqq import NORM
from lwmport.quantise.methods import METHODS
from lwmport.quantise.mse import squared_error
from lwmport.quantise.rounding import Grid, codes_of, nearest_grid, values_of
from lwmport.types import Array

HEAVY = np.random.default_rng(2).standard_t(4, (6, 64, 40)).astype(np.float32) * np.float32(0.02)
HEAVY[0, :, 0] = 0
HEAVY[1, :, 1] = np.abs(HEAVY[1, :, 1])


def small_errors(values: Array, grid: Grid, axis: int, bits: int) -> Array:
    """Return the sum of |e|^p of each group."""
    errors = values_of(codes_of(values, grid, bits), grid).astype(np.float64) - values
    return (np.abs(errors) ** NORM).sum(axis, keepdims=True)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(("method", "measure"), [("mse", squared_error), ("hqq", small_errors)])
def test_no_group_loses_and_most_win(method: str, measure: object, bits: int, *, symmetric: bool) -> None:
    assert callable(measure)
    usual = measure(HEAVY, nearest_grid(HEAVY, 1, bits, symmetric=symmetric), 1, bits)
    found = measure(HEAVY, METHODS[method](HEAVY, 1, bits, symmetric=symmetric), 1, bits)
    assert (found <= usual * 1.0001 + 1e-12).all()
    assert found.sum() < (0.985 if bits == 4 else 1.0001) * usual.sum()


@pytest.mark.parametrize("method", METHODS)
def test_the_axis_of_a_group_makes_no_difference(method: str) -> None:
    down = METHODS[method](HEAVY, 1, 4, symmetric=False)
    across = METHODS[method](np.ascontiguousarray(HEAVY.swapaxes(1, 2)), 2, 4, symmetric=False)
    turned = Grid(*(part.swapaxes(1, 2) for part in across))
    one, other = (squared_error(HEAVY, grid, 1, 4) for grid in (down, turned))
    assert np.allclose(one, other, rtol=0.02)  # sums in another order: a few codes are rounded to the other side


@pytest.mark.parametrize("method", METHODS)
def test_a_group_of_zeros_and_one_large_value_stay_what_they_are(method: str) -> None:
    values = np.zeros((1, 32, 2), np.float32)
    values[0, 3, 1] = 5
    for symmetric in (True, False):
        grid = METHODS[method](values, 1, 4, symmetric=symmetric)
        assert np.array_equal(values_of(codes_of(values, grid, 4), grid), values)
