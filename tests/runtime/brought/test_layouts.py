"""Arrays in a device's order of axes come back in the model's, without padding, and never in a guessed one."""

from typing import Any

import numpy as np
import pytest

from lwmport.errors import ArtifactError
from lwmport.runtime.brought.layouts import fitted

RANDOM = np.random.default_rng(0)


def in_blocks(pictures: Any, block: int) -> Any:
    """[N, C, H, W] as a device has NC1HWC0."""
    n, c, h, w = pictures.shape
    blocks = -(-c // block)
    padded = np.zeros((n, blocks * block, h, w), pictures.dtype)
    padded[:, :c] = pictures
    return padded.reshape(n, blocks, block, h, w).transpose(0, 1, 3, 4, 2)


def in_fractals(matrices: Any, rows: int = 16, columns: int = 16) -> Any:
    """[..., M, N] as a device has FRACTAL_NZ."""
    *rest, m, n = matrices.shape
    m1, n1 = -(-m // rows), -(-n // columns)
    padded = np.full((*rest, m1 * rows, n1 * columns), 9.0)
    padded[..., :m, :n] = matrices
    return np.moveaxis(padded.reshape(*rest, m1, rows, n1, columns), -2, -4)


def test_blocks_of_channels_are_put_together_and_their_padding_is_cut() -> None:
    pictures = RANDOM.normal(size=(2, 20, 3, 4)).astype(np.float16)
    blocked = in_blocks(pictures, 16)
    assert blocked.shape == (2, 2, 3, 4, 16)
    assert np.array_equal(fitted(blocked, (2, 20, 3, 4), "NC1HWC0"), pictures)
    assert np.array_equal(fitted(blocked, (2, 3, 4, 20), "NC1HWC0"), pictures.transpose(0, 2, 3, 1))


def test_the_models_order_decides_where_sizes_do_not() -> None:
    cube = RANDOM.normal(size=(1, 16, 16, 16))
    blocked = in_blocks(cube, 16)
    assert np.array_equal(fitted(blocked, cube.shape, "NC1HWC0", "NCHW"), cube)
    assert np.array_equal(fitted(blocked, cube.shape, "NC1HWC0", "NHWC"), cube.transpose(0, 2, 3, 1))
    with pytest.raises(ArtifactError, match=r"to fit .* in one way, found 2"):
        fitted(blocked, cube.shape, "NC1HWC0")


@pytest.mark.parametrize("shape", [(5, 20), (16, 16), (2, 3, 17, 33), (1, 40)])
def test_fractals_are_put_together(shape: tuple[int, ...]) -> None:
    matrices = RANDOM.normal(size=shape)
    assert np.array_equal(fitted(in_fractals(matrices), shape, "FRACTAL_NZ"), matrices)


def test_a_row_in_fractals_is_a_vector() -> None:
    vector = RANDOM.normal(size=40)
    assert np.array_equal(fitted(in_fractals(vector[None]), (40,), "FRACTAL_NZ"), vector)


def test_depth_comes_before_the_blocks() -> None:
    volumes = RANDOM.normal(size=(1, 16, 2, 3, 4))
    blocked = volumes.reshape(1, 1, 16, 2, 3, 4).transpose(0, 3, 1, 4, 5, 2)
    assert blocked.shape == (1, 2, 1, 3, 4, 16)
    assert np.array_equal(fitted(blocked, (1, 12, 2, 3, 4), "NDC1HWC0"), volumes[:, :12])


def test_channels_last_are_turned_where_one_order_fits() -> None:
    pictures = RANDOM.normal(size=(1, 3, 4, 5))
    last = pictures.transpose(0, 2, 3, 1)
    assert np.array_equal(fitted(last, (1, 3, 4, 5), "NHWC"), pictures)
    assert np.array_equal(fitted(last, (1, 4, 5, 3), "NHWC"), last)
    cube = RANDOM.normal(size=(1, 4, 4, 4))
    with pytest.raises(ArtifactError, match="in one way, found 2"):
        fitted(cube, (1, 4, 4, 4), "NHWC")


def test_sizes_of_one_and_values_in_a_row_take_the_models_shape() -> None:
    values = RANDOM.normal(size=(1, 1, 6))
    assert fitted(values, (1, 6)).shape == (1, 6)
    assert np.array_equal(fitted(values.reshape(6), (2, 3)), values.reshape(2, 3))


@pytest.mark.parametrize(
    ("shape", "target", "layout"),
    [
        ((2, 3), (3, 2), ""),
        ((6,), (1, 1, 2, 3), "NHWC"),
        ((1, 2, 3, 4, 16), (1, 65, 3, 4), "NC1HWC0"),
        ((1, 2, 3, 4, 16), (1, 16, 3, 4), "NC1HWC0"),
        ((1, 2, 3, 4, 16), (1, 20, 3, 3), "NC1HWC0"),
        ((1, 1, 16, 16), (1, 16, 1, 1), "FRACTAL_Z"),
        ((4, 4), (4, 4), "format 77"),
        ((4, 4), (4, 4), "FRACTAL_NZ"),
    ],
)
def test_what_does_not_fit_is_told(shape: tuple[int, ...], target: tuple[int, ...], layout: str) -> None:
    with pytest.raises(ArtifactError, match=r"expected values for \["):
        fitted(np.zeros(shape), target, layout)


def test_values_that_are_none_are_no_second_way() -> None:
    assert fitted(np.full((1, 1, 2, 2, 16), np.nan), (1, 16, 2, 2), "NC1HWC0").shape == (1, 16, 2, 2)
