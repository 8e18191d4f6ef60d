import numpy as np
import pytest

from lwmport.types import Quantized
from lwmport.validators.indices import LISTED, index_metrics


def test_equal_indices() -> None:
    codes = np.arange(256, dtype=np.int32).reshape(1, 16, 16)
    found = index_metrics(codes, codes.copy())
    assert (found.mismatches, found.mismatch_rate, found.listed, found.distinct_reference) == (0, 0, (), 256)


def test_one_differing_integer_among_millions() -> None:
    codes = np.zeros((4, 1 << 20), np.int64)
    candidate = codes.copy()
    candidate[3, 12345] = 1
    found = index_metrics(codes, candidate)
    assert (found.mismatches, found.distinct_reference) == (1, 1)
    assert (found.listed[0].index, found.listed[0].reference, found.listed[0].candidate) == ((3, 12345), 0, 1)


def test_integers_beyond_float64_are_exact() -> None:
    large = np.array([2**53], np.int64)
    assert index_metrics(large, large + 1).mismatches == 1


def test_the_list_is_capped_and_the_count_is_not() -> None:
    found = index_metrics(np.zeros(1000, np.int32), np.ones(1000, np.int32))
    assert (len(found.listed), found.mismatches, found.mismatch_rate) == (LISTED, 1000, 1.0)


def test_near_ties_are_told_from_wrong_codes() -> None:
    codebook = np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 5.0]])
    made_of = Quantized(states="", vectors=np.array([[[0.4999, 0.0], [0.0, 1.0]]]), codebook=codebook)
    reference, candidate = np.array([[0, 0]]), np.array([[1, 2]])
    found = index_metrics(reference, candidate, made_of, np.array([[True, False]]))
    near, far = (mismatch.tie_distance for mismatch in found.listed)
    assert near == pytest.approx(1e-4 / np.sqrt(np.mean(made_of.vectors**2)))
    assert far == found.largest_tie_distance
    assert (found.mismatches, found.near_ties) == (2, 1)


def test_the_largest_distance_is_of_all_mismatches() -> None:
    vectors = np.zeros((2 * LISTED, 1))
    vectors[-1] = -3.0
    made_of = Quantized(states="", vectors=vectors, codebook=np.array([[-1.0], [1.0]]))
    found = index_metrics(np.zeros(2 * LISTED, np.int32), np.ones(2 * LISTED, np.int32), made_of)
    assert found.largest_tie_distance == pytest.approx(3 / np.sqrt(np.mean(vectors**2)))
    assert {mismatch.tie_distance for mismatch in found.listed} == {0.0}


def test_booleans_are_exact() -> None:
    assert index_metrics(np.array([True, False]), np.array([True, True])).mismatches == 1
