"""Rounding to nearest is ONNX Runtime's, byte for byte, and what codes stand for is as near as a code can be."""

from typing import Any

import numpy as np
import pytest
from onnxruntime.capi import _pybind_state as theirs

from lwmport.quantise.packing import packed, unpacked
from lwmport.quantise.rounding import Grid, codes_of, half_away, nearest_grid, values_of
from lwmport.types import Array

QUANTISERS: dict[int, Any] = {4: theirs.quantize_matmul_4bits, 8: theirs.quantize_matmul_8bits}


def matrix(inputs: int, outputs: int) -> Array:
    """Return heavy-tailed values with zeros, ties, groups of one sign and extremes of equal size."""
    found = np.random.default_rng(5).standard_t(4, (inputs, outputs)).astype(np.float32)
    found[:, 0] = 0
    found[:, 1] = np.abs(found[:, 1])
    found[:, 2] = -np.abs(found[:, 2])
    found[:, 3] = np.round(found[:, 3] * 4) / 4
    found[:, 4] = np.clip(found[:, 4], -2, 2)
    found[:2, 4] = (2, -2)
    return found


def by_onnxruntime(values: Array, bits: int, size: int, *, symmetric: bool) -> tuple[Array, Array, Array]:
    """Return blocks, scales and zero points of ONNX Runtime's own quantiser."""
    inputs, outputs = values.shape
    groups = -(-inputs // size)
    blocks = np.zeros((outputs, groups, size * bits // 8), np.uint8)
    scales, zeros = np.zeros(outputs * groups, np.float32), np.zeros(outputs * -(-groups * bits // 8), np.uint8)
    QUANTISERS[bits](blocks, values, scales, zeros, size, outputs, inputs, symmetric)
    return blocks, scales, zeros


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("size", [16, 32, 128])
def test_bytes_are_those_of_onnxruntime(bits: int, size: int, *, symmetric: bool) -> None:
    values = matrix(512, 24)
    grouped = values.reshape(-1, size, 24)
    grid = nearest_grid(grouped, 1, bits, symmetric=symmetric)
    codes = codes_of(grouped, grid, bits)
    blocks, scales, zeros = by_onnxruntime(values, bits, size, symmetric=symmetric)
    assert np.array_equal(packed(codes.transpose(2, 0, 1), bits), blocks)
    assert np.array_equal(grid.scales[:, 0].T.reshape(-1), scales)
    if not symmetric:
        assert np.array_equal(packed(grid.zeros[:, 0].T, bits).reshape(-1), zeros)
    assert len(np.unique(codes)) > 0.9 * 2**bits


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("bits", [4, 8])
def test_an_asymmetric_code_is_the_nearest_one(bits: int, axis: int) -> None:
    values = np.random.default_rng(0).standard_normal((3, 64, 64), np.float32)
    grid = nearest_grid(values, axis, bits, symmetric=False)
    codes = codes_of(values, grid, bits)
    error = np.abs(values_of(codes, grid) - values)
    assert (error <= np.abs(grid.scales) * 0.5001 + 1e-6).mean() > 0.99  # but for the ends: a zero point is rounded
    assert (error <= np.abs(grid.scales) * 1.001).all()


def test_a_group_of_zeros_stays_zero() -> None:
    values = np.zeros((1, 32, 2), np.float32)
    for symmetric in (True, False):
        grid = nearest_grid(values, 1, 4, symmetric=symmetric)
        assert np.array_equal(values_of(codes_of(values, grid, 4), grid), values)


def test_halves_go_away_from_zero_and_what_is_just_below_does_not() -> None:
    below = np.nextafter(np.float32(0.5), np.float32(0))
    values = np.asarray([0, below, 0.5, 1.5, 2.5, 14.5, 15.4, 16], np.float32)
    assert half_away(values).tolist() == [0, 0, 1, 2, 3, 15, 15, 16]
    grid = Grid(np.ones(1, np.float32), np.zeros(1, np.uint8))
    assert codes_of(values, grid, 4).tolist() == [0, 0, 1, 2, 3, 15, 15, 15]
    assert codes_of(values - 3, grid, 8).tolist() == [0, 0, 0, 0, 0, 12, 12, 13]


def test_two_codes_share_a_byte_the_first_in_the_low_half() -> None:
    codes = np.asarray([[1, 2, 15], [0, 3, 4]], np.uint8)
    assert packed(codes, 4).tolist() == [[0x21, 0x0F], [0x30, 0x04]]
    assert np.array_equal(unpacked(packed(codes, 4), 4, 3), codes)
    assert np.array_equal(unpacked(packed(codes, 8), 8, 3), codes)
