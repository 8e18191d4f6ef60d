"""How far a tensor is from the reference's, and where it is worst."""

import math

import numpy as np
import pytest

from lwmport.pipeline.bisect.measure import EQUAL, LOST, heat_of, measured, worst_of

ONES = np.ones((2, 3), np.float32)


def test_equal_tensors_have_no_difference() -> None:
    assert measured(ONES, ONES.copy()) == EQUAL


def test_numbers_are_those_of_their_formulas() -> None:
    reference, found = np.array([3.0, 4.0]), np.array([3.0, 4.5])
    told = measured(reference, found)
    assert told.max_abs == 0.5
    assert told.relative == 0.125
    assert told.sqnr_db == pytest.approx(10 * math.log10(25 / 0.25))
    assert told.cosine == pytest.approx((9 + 18) / math.sqrt(25 * 29.25))


def test_another_shape_is_lost_and_a_nan_is_infinite() -> None:
    assert measured(ONES, ONES.T) == LOST
    assert measured(ONES, np.where(np.eye(2, 3) > 0, np.nan, ONES)).max_abs == math.inf


def test_truth_values_and_integers_are_measured() -> None:
    assert measured(np.array([True, False]), np.array([True, True])).max_abs == 1
    assert measured(np.array([1, 9]), np.array([1, 9])) == EQUAL


def test_the_worst_places_come_first() -> None:
    found = ONES.copy()
    found[1, 2], found[0, 1] = 5, 3
    assert worst_of(ONES, found) == (((1, 2), 1.0, 5.0), ((0, 1), 1.0, 3.0))


def test_a_heat_map_keeps_the_largest_difference_of_each_cell() -> None:
    reference = np.zeros((1, 8, 200, 100), np.float32)
    found = reference.copy()
    found[0, 3, 150, 70] = 2
    heat, words = heat_of(reference, found)
    assert (len(heat), len(heat[0])) == (64, 64)
    assert max(map(max, heat)) == 2
    assert words == "axis 2 down, axis 3 across"
    assert heat_of(np.float32(1), np.float32(2)) == ((), "")
