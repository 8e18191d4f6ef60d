"""A tensor of another model is known in any order of axes, in any shape, and with the halves of heads apart."""

import math

import numpy as np
import pytest

from lwmport.pipeline.bisect.views import View, error_of, likeliest, nearest, same, views
from lwmport.types import Array

RANDOM = np.random.default_rng(0)
VALUE = RANDOM.standard_normal((2, 4, 6, 8)).astype(np.float32)


def halves(value: Array, size: int) -> Array:
    return value.reshape(-1, size // 2, 2).swapaxes(1, 2).reshape(value.shape)


LAID = {
    "as it is": VALUE,
    "channels first": VALUE.transpose(0, 3, 1, 2),
    "flattened": VALUE.transpose(0, 3, 1, 2).reshape(2, 8, 24),
    "with an axis of one": VALUE.reshape(2, 1, 4, 6, 8),
}


@pytest.mark.parametrize("name", LAID)
def test_a_tensor_is_known_however_it_lies(name: str) -> None:
    found = nearest(LAID[name], VALUE, 1e-6)
    assert found is not None
    view, error = found
    assert error == 0
    assert np.array_equal(view.of(VALUE), LAID[name])
    assert np.array_equal(view.back(LAID[name], VALUE.shape), VALUE)


def test_a_reference_of_fewer_axes_is_known_too() -> None:
    flat = VALUE.reshape(2, 24, 8)
    found = nearest(VALUE.transpose(0, 3, 1, 2), flat, 1e-6)
    assert found is not None
    assert np.array_equal(found[0].of(flat), VALUE.transpose(0, 3, 1, 2))


def test_halves_of_heads_are_known_only_where_heads_are_told() -> None:
    laid = halves(VALUE, 8)
    assert nearest(laid, VALUE, 1e-6) is None
    found = nearest(laid, VALUE, 1e-6, (8,))
    assert found is not None
    assert found[0].halves == 8
    assert np.array_equal(found[0].of(VALUE), laid)
    assert np.array_equal(found[0].back(laid, VALUE.shape), VALUE)


def test_the_places_of_a_view_are_those_of_its_values() -> None:
    for view in views(VALUE.shape, (2, 8, 4, 6), (4, 8)):
        places = np.arange(VALUE.size)
        assert np.array_equal(view.of(VALUE).reshape(-1), VALUE.reshape(-1)[view.at(places)])


def test_another_tensor_is_not_known() -> None:
    assert nearest(RANDOM.standard_normal(VALUE.shape).astype(np.float32), VALUE, 1e-3) is None
    assert nearest(VALUE[:1], VALUE, 1e-3) is None


def test_the_likeliest_view_is_that_of_a_noisy_tensor() -> None:
    laid = VALUE.transpose(0, 3, 1, 2)
    view = likeliest(laid + 0.5 * RANDOM.standard_normal(laid.shape), VALUE)
    assert view is not None
    assert np.array_equal(view.of(VALUE), laid)
    assert same((2, 3)) == View(split=(2, 3), order=(0, 1), shape=(2, 3))


def test_what_a_mask_hides_has_no_part_in_the_error() -> None:
    one, other = np.array([1.0, 2.0, -3e38]), np.array([1.0, 2.2, -np.inf])
    assert error_of(one, other) == pytest.approx(0.2 / math.sqrt(1 + 2.2**2))
    assert error_of(np.array([1.0, 2.0, 3.0]), other) == math.inf
    assert error_of(np.array([20000.0, 30000.0]), np.array([20000.0, 30003.0])) < 1e-3
