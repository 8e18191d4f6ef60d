"""Every rule of comparing floating-point tensors, each a bug in some famous tool once."""

import dataclasses
import math

import ml_dtypes
import numpy as np
import pytest

from lwmport.types import Array, Tolerance
from lwmport.validators import differences
from lwmport.validators.metrics import ValueMetrics
from lwmport.validators.values import value_metrics

TIGHT = Tolerance(atol=1e-4, rtol=0.0, why="test")
SHAPE = (2, 16, 16, 64)


def reference_values() -> Array:
    return np.random.default_rng(7).standard_normal(SHAPE, dtype=np.float32)


def measured(candidate: Array, tolerance: Tolerance = TIGHT, reference: Array | None = None) -> ValueMetrics:
    return value_metrics(reference_values() if reference is None else reference, candidate, tolerance)


def test_equal_tensors_have_no_error() -> None:
    found = measured(reference_values())
    assert (found.max_abs_error, found.mean_rel_error, found.rmse, found.out_of_tolerance) == (0, 0, 0, 0)
    assert (found.cosine, found.sqnr_db, found.tolerance_used) == (1, math.inf, 0)
    assert found.histogram.zeros == found.elements == math.prod(SHAPE)
    assert found.first_out is None


def test_numbers_agree_with_their_formulas() -> None:
    reference = reference_values()
    candidate = reference + np.random.default_rng(8).standard_normal(SHAPE, dtype=np.float32) * np.float32(0.1)
    r, c = reference.astype(np.float64).ravel(), candidate.astype(np.float64).ravel()
    d = np.abs(c - r)
    relative = d / np.maximum(np.abs(r), 0.01 * np.sqrt(np.mean(r**2)))
    found = measured(candidate, Tolerance(atol=0.01, rtol=0.1, why="test"))
    expected = {
        "max_abs_error": d.max(),
        "mean_abs_error": d.mean(),
        "max_rel_error": relative.max(),
        "mean_rel_error": relative.mean(),
        "rmse": np.sqrt(np.mean(d**2)),
        "cosine": c @ r / np.linalg.norm(c) / np.linalg.norm(r),
        "sqnr_db": 10 * np.log10(r @ r / (d @ d)),
        "reference_std": r.std(),
        "reference_max_abs": np.abs(r).max(),
        "tolerance_used": (d / (0.01 + 0.1 * np.abs(r))).max(),
        "out_of_tolerance": (d > 0.01 + 0.1 * np.abs(r)).sum(),
    }
    assert {name: getattr(found, name) for name in expected} == pytest.approx(expected, rel=1e-12)


def test_pieces_do_not_change_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = reference_values() * np.float32(1.001)
    candidate[1, 15, 15, 63] = 9
    whole = measured(candidate)
    monkeypatch.setattr(differences, "PIECE", 777)
    pieced = measured(candidate)
    exact = ("elements", "max_abs_error", "out_of_tolerance", "worst", "first_out", "histogram", "tolerance_used")
    assert [getattr(pieced, name) for name in exact] == [getattr(whole, name) for name in exact]
    assert (pieced.rmse, pieced.cosine) == pytest.approx((whole.rmse, whole.cosine), rel=1e-13)


def test_worst_and_first_positions() -> None:
    candidate = reference_values()
    candidate[0, 3, 2, 1] += np.float32(0.01)
    candidate[1, 5, 6, 7] += np.float32(2)
    found = measured(candidate)
    assert found.first_out is not None
    assert found.first_out.index == (0, 3, 2, 1)
    assert found.worst is not None
    assert found.worst.index == (1, 5, 6, 7)
    assert found.worst.candidate - found.worst.reference == pytest.approx(2, abs=1e-6)


@pytest.mark.parametrize("both", [False, True], ids=["candidate", "both sides"])
def test_nan_never_passes(both: bool) -> None:  # noqa: FBT001
    candidate, reference = reference_values(), reference_values()
    candidate[1, 2, 3, 4] = np.nan
    if both:
        reference[1, 2, 3, 4] = np.nan
    loose = Tolerance(atol=1e30, rtol=1e30, why="test")
    found = measured(candidate, loose, reference)
    assert found.out_of_tolerance == 1
    assert found.first_out is not None
    assert found.first_out.index == (1, 2, 3, 4)
    assert (found.candidate_nans, found.reference_nans) == (1, int(both))
    assert (found.max_abs_error, found.mean_abs_error, found.rmse, found.sqnr_db) == (*[math.inf] * 3, -math.inf)
    assert math.isnan(found.cosine)


@pytest.mark.parametrize(("r", "c", "out"), [(np.inf, 1, 1), (1, np.inf, 1), (np.inf, -np.inf, 1), (np.inf, np.inf, 0)])
def test_infinities_must_agree_even_under_a_relative_tolerance(r: float, c: float, out: int) -> None:
    reference, candidate = np.array([r, 1.0, 2.0], np.float32), np.array([c, 1.0, 2.0], np.float32)
    found = measured(candidate, Tolerance(atol=1.0, rtol=1.0, why="test"), reference)
    assert found.out_of_tolerance == out


def test_tolerance_is_relative_to_the_reference_and_not_swapped() -> None:
    reference, candidate = np.array([1.0, 100.0]), np.array([1.05, 105.0])
    assert measured(candidate, Tolerance(atol=0.0, rtol=0.051, why=""), reference).out_of_tolerance == 0
    assert measured(candidate, Tolerance(atol=0.051, rtol=0.0, why=""), reference).out_of_tolerance == 1
    doubled = Tolerance(atol=0.0, rtol=0.6, why="")
    assert measured(np.array([2.0]), doubled, np.array([1.0])).out_of_tolerance == 1
    assert measured(np.array([1.0]), doubled, np.array([2.0])).out_of_tolerance == 0


def test_relative_error_near_zero_measures_the_tensor_and_not_the_zero() -> None:
    reference = np.array([0.0, 1.0, -1.0])
    assert measured(reference + 1e-6, reference=reference).max_rel_error < 2e-4
    zeros = np.zeros(3)
    assert measured(zeros, reference=zeros).max_rel_error == 0
    assert measured(zeros + 1e-9, reference=zeros).max_rel_error == math.inf


def test_differences_are_taken_in_float64() -> None:
    half = np.full(9, 60000, np.float16)
    assert measured(-half, reference=half).max_abs_error == 120000
    brain = np.ones(3, ml_dtypes.bfloat16)
    assert measured(brain, reference=brain).max_abs_error == 0


def test_cosine_resolves_what_a_rounded_dot_product_cannot() -> None:
    reference = np.ones(1000)
    candidate = reference.copy()
    candidate[::2] += 1e-7
    assert 1 - measured(candidate, reference=reference).cosine == pytest.approx(1.25e-15, rel=0.1)
    assert measured(-reference, reference=reference).cosine == -1
    assert measured(np.zeros(5), reference=np.ones(5)).cosine == 0


def dropped_bias(values: Array) -> None:
    values[..., 5] += np.float32(0.3)


def one_value(values: Array) -> None:
    values[1, 15, 15, 63] += np.float32(2e-4)


def negated(values: Array) -> None:
    np.negative(values, out=values)


def transposed(values: Array) -> None:
    values[:] = values.transpose(0, 2, 1, 3).copy()


def rolled(values: Array) -> None:
    values[:] = np.roll(values, 1, axis=2)


def swapped_batch(values: Array) -> None:
    values[:] = values[::-1].copy()


def zeroed(values: Array) -> None:
    values[:] = 0


def rounded_to_half(values: Array) -> None:
    values[:] = values.astype(np.float16)


SABOTAGE = (dropped_bias, one_value, negated, transposed, rolled, swapped_batch, zeroed, rounded_to_half)


@pytest.mark.parametrize("break_", SABOTAGE, ids=lambda function: function.__name__)
def test_sabotage_is_out_of_tolerance(break_) -> None:  # noqa: ANN001
    candidate = reference_values()
    break_(candidate)
    found = measured(candidate)
    assert found.out_of_tolerance > 0
    assert found.tolerance_used > 1
    assert found.out_of_tolerance_fraction == found.out_of_tolerance / found.elements


def test_histogram_counts_every_element_once() -> None:
    reference = np.zeros(6)
    found = measured(np.array([0, 1e-6, 2e-6, 1e-3, 1e-3, np.nan]), reference=reference).histogram
    assert (found.zeros, found.incomparable, sum(found.counts)) == (1, 1, 4)
    assert found.start == -24
    assert found.counts[0] == 1
    assert found.counts[-1] == 2


def test_records_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        measured(reference_values()).rmse = 0  # type: ignore[misc]
