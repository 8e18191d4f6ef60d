"""Statements on codes and pictures count what differs, and say how near a tie it was."""

import numpy as np
import pytest

from lwmport.types import Array, Quantized
from lwmport.validators.accuracy import code_accuracy, picture_accuracy

CODEBOOK = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 4.0]], np.float32)
VECTORS = np.array([[[0.1, 0.0], [0.45, 0.0], [0.0, 3.0]]], np.float32)
NEAREST = np.array([[0, 0, 2]], np.int32)


def quantized() -> Quantized:
    return Quantized(states="states", vectors=VECTORS, codebook=CODEBOOK)


def test_codes_that_agree_are_counted_and_nothing_lies_near_a_tie() -> None:
    found = code_accuracy(NEAREST, NEAREST.copy(), quantized())
    assert (found.codes, found.agreeing, found.distinct) == (3, 3, 2)
    assert found.median_tie_distance is found.largest_tie_distance is None


def test_the_others_lie_as_far_from_the_tie_as_from_the_plane_halfway() -> None:
    found = code_accuracy(NEAREST, np.array([[0, 1, 1]], np.int32), quantized())
    size = np.sqrt(np.mean(VECTORS.astype(np.float64) ** 2))
    near, far = 0.05 / size, (10.0 - 1.0) / (2 * np.sqrt(17) * size)
    assert found.agreeing == 1
    assert found.median_tie_distance == pytest.approx((near + far) / 2)
    assert found.largest_tie_distance == pytest.approx(far)


def test_without_what_was_quantized_ties_are_not_known() -> None:
    found = code_accuracy(NEAREST, NEAREST + 1, None)
    assert (found.agreeing, found.largest_tie_distance) == (0, None)


def test_pictures_have_a_number_each() -> None:
    expected: Array = np.random.default_rng(3).uniform(-1, 1, (2, 16, 16, 3)).astype(np.float32)
    shifted = expected.copy()
    shifted[1] += 0.02
    found = picture_accuracy(expected, shifted, (-1.0, 1.0))
    assert found.psnr_db == (float("inf"), pytest.approx(40.0, abs=0.01))
    assert found.ssim[0] == pytest.approx(1.0)
    assert found.ssim[1] is not None
    assert 0.99 < found.ssim[1] < 1.0
