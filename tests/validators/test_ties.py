"""Near ties: measured by how far a vector would have to move, and excused only up to a distance and a share."""

import math

import numpy as np
import pytest

from lwmport.handoff import standalone
from lwmport.types import NearTies, Quantized
from lwmport.validators.ties import distances, followed, most, near_ties

CODEBOOK = np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 5.0]], np.float32)


def quantized(vectors: object, codebook: object = CODEBOOK) -> Quantized:
    return Quantized(states="states", vectors=np.asarray(vectors, np.float32), codebook=np.asarray(codebook))


def test_the_measure_is_the_distance_to_the_plane_halfway() -> None:
    vectors = [[[0.48, 7.0], [0.25, -7.0], [0.25, -7.0]]]
    size = np.sqrt(np.mean(np.asarray(vectors) ** 2))
    found = distances(quantized(vectors), np.array([[0, 0, 0]]), np.array([[1, 1, 0]]))
    assert found[0] == pytest.approx([0.02 / size, 0.25 / size, 0.0], rel=1e-5)


def test_it_is_the_same_from_both_sides() -> None:
    made_of = quantized([[0.4, 0.1]])
    assert distances(made_of, np.array([0]), np.array([1])) == distances(made_of, np.array([1]), np.array([0]))


@pytest.mark.parametrize(("vectors", "codebook"), [(1e3, 1.0), (1.0, 1e-4), (1e3, 1e3)])
def test_the_scales_of_vectors_and_codes_do_not_matter(vectors: float, codebook: float) -> None:
    random = np.random.default_rng(3)
    directions, codes = random.standard_normal((2, 8)), random.standard_normal((2, 8))
    codes /= np.linalg.norm(codes, axis=1, keepdims=True)  # so that the plane goes through the origin
    expected, found = np.array([0, 1]), np.array([1, 0])
    plain = distances(quantized(directions, codes), expected, found)
    assert distances(quantized(vectors * directions, codebook * codes), expected, found) == pytest.approx(plain, 1e-5)


@pytest.mark.parametrize("code", [3, -1, 2**31 - 1, -(2**31)])
def test_a_code_outside_the_codebook_is_no_tie(code: int) -> None:
    made_of, inside, outside = quantized([[0.0, 0.0]]), np.array([0], np.int32), np.array([code], np.int32)
    assert distances(made_of, inside, outside) == distances(made_of, outside, inside) == math.inf


def test_two_equal_codes_are_one() -> None:
    made_of = quantized([[3.0, 4.0]], [[1.0, 1.0], [1.0, 1.0]])
    assert distances(made_of, np.array([0]), np.array([1])) == 0


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_no_tie(number: float) -> None:
    assert distances(quantized([[number, 0.0]]), np.array([0]), np.array([1])) == math.inf
    broken = np.array([[0.0, 0.0], [number, 0.0]])
    assert distances(quantized([[1.0, 0.0]], broken), np.array([0]), np.array([1])) == math.inf
    elsewhere = quantized([[0.5, 0.0], [number, 0.0]])
    assert distances(elsewhere, np.array([0, 0]), np.array([1, 0]))[0] == math.inf


@pytest.mark.parametrize("seed", range(20))
def test_the_checker_of_a_bundle_measures_the_same(seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors, codebook = random.standard_normal((40, 3)), random.standard_normal((6, 3))
    codebook[seed % 6] = random.choice([0.5, math.nan, math.inf])
    expected, found = random.integers(0, 6, 40), random.integers(-1, 7, 40)
    made_of = Quantized(states="", vectors=vectors, codebook=codebook)
    for distance in (0.0, 0.1, 0.5, 5.0):
        ours = near_ties(expected, found, made_of, NearTies(distance=distance, share=1))
        theirs = standalone.near_ties(expected, found, vectors, codebook, {"distance": distance, "share": 1})
        assert np.array_equal(ours, theirs)


def test_vectors_of_no_size_are_a_tie_only_where_the_codes_are_as_near() -> None:
    nothing = quantized([[0.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    assert list(distances(nothing, np.array([0, 0]), np.array([1, 2]))) == [0.0, math.inf]


def test_near_ties_are_excused_up_to_a_distance_and_a_share() -> None:
    vectors = np.tile([[0.499, 0.0]], (64, 1))
    vectors[1] = 0.3, 0.0
    expected, found = np.zeros(64, np.int32), np.zeros(64, np.int32)
    found[:2] = 1
    allowed = NearTies(distance=0.01, share=1 / 32)
    assert list(np.flatnonzero(near_ties(expected, found, quantized(vectors), allowed))) == [0]
    found[2:5] = 1
    assert most(allowed, 64) == 2
    assert not near_ties(expected, found, quantized(vectors), allowed).any()


def test_a_share_is_rounded_up() -> None:
    assert [most(NearTies(distance=1, share=1 / 32), count) for count in (1, 32, 33)] == [1, 1, 2]


def test_states_follow_the_code_that_was_chosen() -> None:
    states = np.zeros((2, 2), np.float16)
    found = followed(states, np.array([1, 9]), quantized(np.zeros((2, 2))), np.array([True, False]))
    assert found.dtype == np.float16
    assert found.tolist() == [[1, 0], [0, 0]]
