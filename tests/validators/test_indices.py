import math

import numpy as np
import pytest

from lwmport.validators.indices import LISTED, index_metrics
from lwmport.validators.ties import gap_of_codes, gap_of_distances


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
    vectors = np.array([[[0.4999, 0.0], [0.0, 0.0]]])
    reference, candidate = np.array([[0, 0]]), np.array([[1, 2]])
    found = index_metrics(reference, candidate, gap_of_codes(vectors, codebook))
    assert found.listed[0].gap == pytest.approx(0.5001**2 / 0.4999**2 - 1)
    assert found.listed[1].gap == math.inf
    assert found.largest_gap == math.inf


def test_a_code_outside_the_codebook_is_no_tie() -> None:
    gap = gap_of_codes(np.zeros((1, 2)), np.zeros((3, 2)))
    assert gap((0,), 0, 3) == math.inf
    assert gap((0,), 0, -1) == math.inf


def test_gaps_of_known_distances() -> None:
    gap = gap_of_distances(np.array([2.0, 2.0, np.nan, 0.0]), np.array([2.0, 3.0, 1.0, 0.0]))
    assert [gap((place,), 0, 1) for place in range(4)] == [0.0, 0.5, math.inf, 0.0]


def test_booleans_are_exact() -> None:
    assert index_metrics(np.array([True, False]), np.array([True, True])).mismatches == 1
