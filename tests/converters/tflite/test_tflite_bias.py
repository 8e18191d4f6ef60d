"""A product by a constant matrix takes in the bias behind it, and nothing else that is added to it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lwmport.types import Array


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


WEIGHTS = {"kernel": normal(6, 5), "bias": normal(5)}
X = normal(2, 3, 6)

CASES: dict[str, tuple[Callable[..., Any], dict[str, int]]] = {
    "a bias": (lambda x, kernel, bias: x @ kernel + bias, {"FULLY_CONNECTED": 1}),
    "a bias in front": (lambda x, kernel, bias: bias + x @ kernel, {"FULLY_CONNECTED": 1}),
    "a number": (lambda x, kernel, bias: (x @ kernel + 1.5) * bias, {"ADD": 1, "FULLY_CONNECTED": 1, "MUL": 1}),
    "a table": (lambda x, kernel, bias: x @ kernel + normal(3, 1) * bias, {"ADD": 1, "FULLY_CONNECTED": 1}),
    "a value": (
        lambda x, kernel, bias: x @ kernel + x[:, :, :5] * bias,
        {"ADD": 1, "FULLY_CONNECTED": 1, "MUL": 1, "SLICE": 1},
    ),
    "a product with two readers": (
        lambda x, kernel, bias: (x @ kernel + bias) * (x @ kernel),
        {"FULLY_CONNECTED": 2, "MUL": 1},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_added_to_a_product(case: str, lower: Callable[..., Any]) -> None:
    function, operators = CASES[case]
    assert lower(function, X, weights=WEIGHTS).agrees(atol=1e-5).operators == operators


def test_a_bias_is_added_once_where_the_product_is_read_twice(lower: Callable[..., Any]) -> None:
    def function(x: Any, kernel: Any, bias: Any) -> Any:
        product = x @ kernel
        return (product + bias) * product

    found = lower(function, X, weights=WEIGHTS).agrees(atol=1e-5)
    assert found.operators == {"ADD": 1, "FULLY_CONNECTED": 1, "MUL": 1}
