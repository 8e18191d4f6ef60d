"""Grids of TFLite's kernels: scales that XNNPACK takes, codes on both sides of zero alike, the least squared error."""

import numpy as np
import pytest

from lwmport.quantise.even import LEAST, least_code, storable
from lwmport.quantise.methods import EVEN
from lwmport.quantise.mse import squared_error
from lwmport.quantise.rounding import codes_of, middle, values_of
from lwmport.types import dtype_of

VALUES = np.random.default_rng(3).standard_t(4, (6, 2, 64)).astype(np.float32)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("method", EVEN)
def test_the_largest_value_has_the_largest_code(method: str, bits: int) -> None:
    grid = EVEN[method](VALUES, 2, bits)
    codes = codes_of(VALUES, grid, bits, least_code(bits)).astype(int) - middle(bits)
    assert (grid.scales > 0).all()
    assert (grid.zeros == middle(bits)).all()
    assert (np.abs(codes).max(2) == middle(bits) - 1).all() if method == "rtn" or bits == 8 else codes.min() >= -8
    expected = np.clip(np.rint(VALUES / grid.scales), -8 if bits == 4 else -127, middle(bits) - 1)
    assert np.array_equal(codes, expected)  # but for ties, of which random values have none
    assert np.abs(values_of(codes_of(VALUES, grid, bits, least_code(bits)), grid) - expected * grid.scales).max() == 0


@pytest.mark.parametrize("bits", [4, 8])
def test_mse_is_no_worse_in_any_group_and_better_in_some(bits: int) -> None:
    usual, better = (
        squared_error(VALUES, EVEN[method](VALUES, 2, bits), 2, bits, least_code(bits)) for method in ("rtn", "mse")
    )
    assert (better <= usual).all()
    assert bits == 8 or better.sum() < 0.97 * usual.sum()


def test_scales_of_blocks_are_numbers_of_float16_and_of_bfloat16() -> None:
    scales = np.exp(np.random.default_rng(4).uniform(-40, 10, 4096)).astype(np.float32)
    found = storable(scales, "float16")
    for dtype in ("float16", "bfloat16"):
        assert np.array_equal(found.astype(dtype_of(dtype)).astype(np.float32), found)
    assert found.min() == LEAST["float16"]
    large = scales > 1e-4
    assert np.abs(found[large] / scales[large] - 1).max() < 2**-8
    assert np.isinf(storable(np.asarray([1e6], np.float32), "float16")).all()


def test_a_group_of_zeros_has_a_scale() -> None:
    grid = EVEN["mse"](np.zeros((1, 1, 32), np.float32), 2, 4)
    assert grid.scales.item() == 1
