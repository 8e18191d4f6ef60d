"""What JAX writes in several ways comes out in one, with the same numbers."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend import core

from lwmport.graphs.simplify import simplify
from lwmport.types import Array

X = np.arange(12, dtype=np.float32).reshape(3, 4)
I = np.arange(12, dtype=np.int32).reshape(3, 4)  # noqa: E741  # beside X
B = X > 4
Case = tuple[Callable[..., Any], Array, list[str]]

CASES: dict[str, Case] = {
    "pairs apart": (lambda x: x.reshape(3, 2, 2)[..., 1], X, ["reshape", "slice", "squeeze"]),
    "nothing joined": (lambda x: jnp.concatenate([x[:, :0], x], axis=1), X, []),
    "an integer zero added": (lambda i: i + 0, I, []),
    "an integer one multiplied": (lambda i: 1 * i, I, []),
    "a float zero added": (lambda x: x + 0.0, X, ["add"]),
    "true everywhere": (lambda b: b & np.ones((3, 4), bool), B, []),
    "a scan over one": (
        lambda x: lax.scan(lambda held, row: (held + row, held * row), x, x[None])[1],
        X,
        ["broadcast_in_dim", "squeeze", "mul", "broadcast_in_dim"],
    ),
    "a choice that is known": (lambda x: lax.cond(True, jnp.sin, jnp.cos, x), X, ["sin"]),  # noqa: FBT003
}  # fmt: skip


@pytest.mark.parametrize(("function", "x", "left"), CASES.values(), ids=CASES)
def test_the_usual_form_has_the_same_numbers(function: Callable[..., Any], x: Array, left: list[str]) -> None:
    after = simplify(jax.make_jaxpr(function)(x))
    assert [equation.primitive.name for equation in after.eqns] == left
    found, expected = core.jaxpr_as_fun(after)(x)[0], function(x)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected), strict=True)


def test_a_gather_of_one_window_is_a_slice() -> None:
    numbers = lax.GatherDimensionNumbers(offset_dims=(0,), collapsed_slice_dims=(1,), start_index_map=(0, 1))
    mode = lax.GatherScatterMode.PROMISE_IN_BOUNDS

    def column(x: Any) -> Any:
        return lax.gather(x, np.asarray([1, 2], np.int32), numbers, (2, 1), mode=mode)

    after = simplify(jax.make_jaxpr(column)(X))
    assert [equation.primitive.name for equation in after.eqns] == ["slice", "squeeze"]
    np.testing.assert_array_equal(np.asarray(core.jaxpr_as_fun(after)(X)[0]), X[1:, 2])


def test_bodies_are_simplified_too() -> None:
    def looped(x: Any) -> Any:
        return lax.scan(lambda held, row: (jax.jit(jnp.sin)(held) + row * jnp.cos(2.0), None), x[0], x)[0]

    after = simplify(jax.make_jaxpr(looped)(X))
    (scan,) = (equation for equation in after.eqns if equation.primitive.name == "scan")
    assert [equation.primitive.name for equation in scan.params["jaxpr"].eqns] == ["sin", "mul", "add"]
    np.testing.assert_allclose(np.asarray(core.jaxpr_as_fun(after)(X)[0]), np.asarray(looped(X)), rtol=1e-6)


def test_what_only_repeats_is_no_constant() -> None:
    after = simplify(jax.make_jaxpr(lambda x: jnp.where(x > 1, x, jnp.full((3, 4), 7.0)))(X))
    assert all(np.size(value) == 1 for value in after.consts)
