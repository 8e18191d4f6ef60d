"""A maximum and a minimum become one Clip where both bounds are constants and nobody else reads between."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

X = np.linspace(-3, 3, 24, dtype=np.float32).reshape(2, 3, 4)
BOUNDS = {"low": np.float32([-0.5]), "high": np.float32([0.5])}

FUSED: dict[str, Callable[..., Any]] = {
    "jnp.clip": lambda x: jnp.clip(x, -1.0, 1.0),
    "bounds first": lambda x: lax.min(np.float32(1), lax.max(np.float32(-1), x)),
    "bounds last": lambda x: lax.min(lax.max(x, np.float32(-1)), np.float32(1)),
    "bounds that cross": lambda x: lax.min(lax.max(x, np.float32(2)), np.float32(1)),
    "bounds with axes": lambda x: jnp.minimum(jnp.maximum(x, np.float32([[[-1]]])), np.float32([[[1]]])),
    "twice": lambda x: jnp.clip(jnp.clip(x, -2.0, 2.0) * 2.0, -1.0, 1.0),
    "integers": lambda x: jnp.clip(x.astype(jnp.int32), -1, 2),
}


@pytest.mark.parametrize("function", FUSED.values(), ids=FUSED)
def test_one_clip(function: Callable[..., Any], lower: Callable[..., Any]) -> None:
    found = lower(function, X).agrees(rtol=0, atol=0)
    assert not {"Max", "Min"} & set(found.operators)
    assert "Clip" in found.operators


def read_between(x: Any) -> Any:
    y = jnp.maximum(x, -1.0)
    return jnp.minimum(y, 1.0) + y


def returned_between(x: Any) -> Any:
    y = jnp.maximum(x, -1.0)
    return jnp.minimum(y, 1.0), y


SEPARATE: dict[str, Callable[..., Any]] = {
    "read between": read_between,
    "returned between": returned_between,
    "minimum first": lambda x: jnp.maximum(jnp.minimum(x, 1.0), -1.0),
    "several lower bounds": lambda x: jnp.minimum(jnp.maximum(x, np.float32([-1, 0, 1, 2])), 1.0),
    "several upper bounds": lambda x: jnp.minimum(jnp.maximum(x, -1.0), np.float32([-1, 0, 1, 2])),
    "an upper bound from the input": lambda x: jnp.minimum(jnp.maximum(x, -1.0), x.sum()),
    "a lower bound from the input": lambda x: jnp.minimum(jnp.maximum(x, x[:1, :1, :1]), 1.0),
}


@pytest.mark.parametrize("function", SEPARATE.values(), ids=SEPARATE)
def test_max_and_min_stay_apart(function: Callable[..., Any], lower: Callable[..., Any]) -> None:
    found = lower(function, X).agrees()
    assert "Clip" not in found.operators
    assert (found.operators["Max"], found.operators["Min"]) == (1, 1)


def test_bounds_that_are_weights_are_not_read_to_decide(lower: Callable[..., Any]) -> None:
    found = lower(lambda x, low, high: jnp.minimum(jnp.maximum(x, low), high), X, weights=BOUNDS).agrees()
    assert found.operators == {"Max": 1, "Min": 1}
