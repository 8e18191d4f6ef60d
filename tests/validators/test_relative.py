"""Errors of tensors of which nothing is known: over the largest value, and at each element."""

import numpy as np
import pytest

from lwmport.types import Array
from lwmport.validators.indices import equal_share
from lwmport.validators.relative import element_error, peak_error
from lwmport.validators.values import sqnr_db

ONES = np.ones(4, np.float32)
MASK = np.asarray([-np.inf, 1, np.nan, 2], np.float32)
APART: dict[str, tuple[Array, Array]] = {
    "another shape": (ONES, ONES[:3]),
    "an integer": (np.asarray([1, 2]), np.asarray([1, 3])),
    "a NaN on one side": (ONES, np.asarray([1, np.nan, 1, 1], np.float32)),
    "an infinity of the other sign": (MASK, MASK * np.asarray([-1, 1, 1, 1], np.float32)),
    "no number at all": (ONES * np.nan, ONES * np.nan),
}


@pytest.mark.parametrize("case", APART)
def test_what_cannot_be_measured_is_infinitely_far(case: str) -> None:
    assert peak_error(*APART[case]) == np.inf
    assert element_error(*APART[case], 1e-2, 1e-2) == np.inf


def test_what_is_no_number_in_both_is_left_out() -> None:
    assert peak_error(MASK, MASK.copy()) == 0
    assert element_error(MASK, MASK.copy(), 1e-2, 1e-2) == 0


def test_a_large_value_hides_a_wrong_element_from_one_measure_only() -> None:
    wrong = np.asarray([-1e4, 1, 1, 2], np.float32)
    masked = np.asarray([-1e4, 1, 1, 1], np.float32)
    assert peak_error(masked, wrong) == pytest.approx(1e-4)
    assert element_error(masked, wrong, 1e-2, 1e-2) > 1


def test_the_share_of_integers_that_are_equal() -> None:
    assert equal_share(np.asarray([1, 2, 3, 4]), np.asarray([1, 2, 3, 5])) == 0.75
    assert equal_share(np.zeros(0, np.int32), np.zeros(0, np.int32)) == 1.0


def test_the_ratio_of_signal_to_error() -> None:
    assert sqnr_db(ONES, ONES) == np.inf
    assert sqnr_db(ONES, ONES * np.float32(1.01)) == pytest.approx(40, abs=1e-3)
    assert sqnr_db(ONES * 0, ONES) == -np.inf
