"""AWQ: factors of channels, by which products lose less."""

import numpy as np

from lwmport.quantise.awq import best_factors, met, product_error, widened
from lwmport.quantise.factor_bounds import bounds_of, least_of
from lwmport.quantise.rounding import codes_of, nearest_grid, values_of
from lwmport.types import Array, Fold

PLAIN = Fold(source="a", targets=("b",))


def nearest(values: Array) -> Array:
    grid = nearest_grid(values, 0, 4, symmetric=True)
    return values_of(codes_of(values, grid, 4), grid)


def test_products_of_uneven_channels_lose_less() -> None:
    random = np.random.default_rng(0)
    sizes = np.exp(random.normal(0, 1.5, 64)).astype(np.float32)
    weight = random.standard_normal((64, 48)).astype(np.float32)
    inputs, others = (random.standard_normal((300, 64)).astype(np.float32) * sizes for _ in range(2))
    wide = widened(best_factors([weight], [nearest], met(inputs), PLAIN), PLAIN)[:, None]
    lost, usual = (
        product_error(others, weight, nearest(weight * wide) / wide),
        product_error(others, weight, nearest(weight)),
    )
    assert lost < 0.6 * usual


def test_even_channels_and_those_that_never_occur_are_left_alone() -> None:
    weight = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)
    even = best_factors([weight], [nearest], met(np.ones((4, 8), np.float32)), PLAIN)
    none = best_factors([weight], [nearest], met(np.zeros((4, 8), np.float32)), PLAIN)
    assert np.array_equal(even, np.ones(8))
    assert np.array_equal(none, np.ones(8))


def test_channels_that_several_heads_share_have_one_factor() -> None:
    shared = Fold(source="v", targets=("o",), blocks=2, times=3)
    assert widened(np.arange(4), shared).tolist() == [0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3]


def test_no_scale_becomes_subnormal_by_factors() -> None:
    """float16 has all its digits from 6.1e-5 on; 0.0005 over a factor of 1,000 would be 4.6 % off."""
    normal = float(np.finfo(np.float16).smallest_normal)
    random = np.random.default_rng(1)
    sizes = np.exp(random.normal(0, 4, 64)).astype(np.float32)
    weight = (random.standard_normal((64, 48)) * 0.02).astype(np.float32)
    made_by = np.full((2, 64), 0.0005, np.float32)
    made_by[1, 0] = 1e-6  # it was subnormal before
    grid = nearest_grid(weight.reshape(4, 16, 48), 1, 4, symmetric=True)
    behind = [least_of(grid.scales[:, 0], 16, normal, PLAIN, 64)]
    bounds = bounds_of(made_by, normal, behind)
    inputs = met(random.standard_normal((300, 64)).astype(np.float32) * sizes)
    free = best_factors([weight], [nearest], inputs, PLAIN)
    found = best_factors([weight], [nearest], inputs, PLAIN, bounds)
    wide = nearest_grid((weight * found[:, None]).reshape(4, 16, 48), 1, 4, symmetric=True).scales
    assert (made_by / free).astype(np.float16)[0].min() < normal  # what the bounds are for
    assert (made_by / found).astype(np.float16)[0].min() >= normal
    assert (np.abs(wide) / 2).astype(np.float16).min() >= normal
    assert np.ptp(found) > 1


def test_float32_bounds_no_factor() -> None:
    normal = float(np.finfo(np.float32).smallest_normal)
    scales = np.full((2, 4), 1e-5, np.float32)
    bounds = bounds_of(scales, normal, [least_of(scales, 2, normal, PLAIN, 4)])
    factors = np.array([1e-3, 1, 10, 1e3], np.float32)
    assert np.array_equal(np.clip(factors, *bounds).astype(np.float32), factors)
