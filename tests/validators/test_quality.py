import math

import numpy as np
import pytest

from lwmport.types import Array, Tolerance
from lwmport.validators.quality import picture_metrics

TOLERANCE = Tolerance(atol=1e-4, rtol=0.0, why="test")


def noise(*shape: int) -> Array:
    return np.random.default_rng(3).uniform(-1, 1, shape).astype(np.float32)


def test_equal_pictures() -> None:
    pictures = noise(2, 32, 32, 3)
    found = picture_metrics(pictures, pictures.copy(), TOLERANCE)
    assert found.psnr_db == (math.inf, math.inf)
    assert found.ssim == pytest.approx((1, 1))
    assert (found.worst_psnr_db, found.out_of_tolerance, found.data_range) == (math.inf, 0, 2.0)


def test_psnr_is_of_the_data_range_and_of_each_picture() -> None:
    pictures = noise(2, 32, 32, 3)
    candidate = pictures.copy()
    candidate[1] += np.float32(0.02)
    found = picture_metrics(pictures, candidate, TOLERANCE)
    assert found.psnr_db == pytest.approx((math.inf, 10 * math.log10(4 / 0.02**2)), rel=1e-6)
    assert found.worst_psnr_db == found.psnr_db[1]
    assert found.worst_ssim == min(value for value in found.ssim if value is not None)


def test_ssim_sees_a_shifted_picture() -> None:
    pictures = noise(1, 32, 32, 3)
    found = picture_metrics(pictures, np.roll(pictures, 1, axis=2), TOLERANCE)
    assert found.worst_ssim is not None
    assert found.worst_ssim < 0.5


def test_ssim_hardly_sees_another_brightness_wherever_the_range_begins() -> None:
    pictures = noise(1, 32, 32, 3) / 2
    signed = picture_metrics(pictures, pictures + 0.01, TOLERANCE).ssim
    counted = picture_metrics(pictures + 1, pictures + 1.01, TOLERANCE, (0.0, 2.0)).ssim
    assert signed == pytest.approx(counted)
    assert signed[0] is not None
    assert signed[0] > 0.999


def test_ssim_is_that_of_wang_et_al() -> None:
    """A picture as large as the window has one place to look at: there the formula can be written out."""
    reference, candidate = noise(11, 11, 1).astype(np.float64), noise(2, 11, 11, 1)[1].astype(np.float64)
    bell = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(bell, bell) / bell.sum() ** 2
    r, c = reference[..., 0] + 1, candidate[..., 0] + 1
    mean_r, mean_c = (window * r).sum(), (window * c).sum()
    var_r, var_c = (window * r**2).sum() - mean_r**2, (window * c**2).sum() - mean_c**2
    covariance = (window * r * c).sum() - mean_r * mean_c
    k1, k2 = 0.02**2, 0.06**2
    likeness = (2 * mean_r * mean_c + k1) * (2 * covariance + k2)
    expected = likeness / ((mean_r**2 + mean_c**2 + k1) * (var_r + var_c + k2))
    assert picture_metrics(reference, candidate, TOLERANCE).ssim == pytest.approx((expected,), rel=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_nan_pixel_spoils_the_picture(bad: float) -> None:
    pictures = noise(2, 16, 16, 3)
    candidate = pictures.copy()
    candidate[0, 1, 2, 0] = bad
    found = picture_metrics(pictures, candidate, TOLERANCE)
    assert (found.psnr_db[0], found.ssim[0], found.worst_ssim) == (-math.inf, None, None)
    assert found.worst_psnr_db == -math.inf
    assert found.out_of_tolerance == 1


def test_pictures_below_the_window_have_no_ssim() -> None:
    pictures = noise(1, 8, 8, 3)
    assert picture_metrics(pictures, pictures, TOLERANCE).ssim == (None,)


def test_videos_count_every_frame() -> None:
    frames = noise(2, 3, 16, 16, 3)
    assert len(picture_metrics(frames, frames, TOLERANCE).psnr_db) == 6


def test_a_single_picture_needs_no_batch_axis() -> None:
    picture = noise(16, 16, 3)
    assert len(picture_metrics(picture, picture, TOLERANCE).psnr_db) == 1
