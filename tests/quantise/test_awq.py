"""AWQ: factors of channels, by which products lose less."""

import numpy as np

from lwmport.quantise.awq import best_factors, met, product_error, widened
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
