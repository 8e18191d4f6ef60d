"""Partial evaluation: what it removes, what it keeps, and that the numbers stay."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import core

from lwmport.graphs import simplify as module
from lwmport.graphs.atoms import composite_name
from lwmport.graphs.simplify import simplify
from lwmport.models.calls import CALLS
from lwmport.models.composites import basic as composites

X = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)


@jax.custom_jvp
def clipped(x: Any) -> Any:
    return jnp.minimum(x, 1.0)


@clipped.defjvp
def _(primals: Any, tangents: Any) -> Any:
    return clipped(*primals), tangents[0]


@jax.custom_vjp
def doubled(x: Any) -> Any:
    return x * 2.0


doubled.defvjp(lambda x: (x * 2.0, None), lambda _, g: (g,))


def nested_jit(x: Any) -> Any:
    inner = jax.jit(lambda y: y * y + 1.0)
    return jax.jit(lambda y: inner(inner(y)) - jnp.where(y > 0, y, 0.5))(x)


def several_results(x: Any) -> Any:
    low, high = jax.jit(lambda y: (y - 1.0, y + 1.0))(x)
    return low * high


CALLERS: dict[str, tuple[Callable[..., Any], set[str]]] = {
    "jit": (nested_jit, {"jit"}),
    "several results": (several_results, {"jit"}),
    "custom_jvp": (lambda x: clipped(x) + jax.nn.relu(x), {"custom_jvp_call"}),
    "custom_vjp": (lambda x: doubled(jnp.sin(x)), {"custom_vjp_call"}),
    "remat": (jax.checkpoint(lambda x: jnp.tanh(jnp.sin(x))), {"remat2"}),
    "everything": (jax.jit(jax.checkpoint(lambda x: doubled(clipped(nested_jit(x))))), {"jit"}),
}


def names(closed: Any) -> list[str]:
    return [equation.primitive.name for equation in closed.jaxpr.eqns]


def run(closed: Any, *args: Any) -> list[Any]:
    """Return the results, computed one equation after the other: compiled parts would round differently."""
    with jax.disable_jit():
        return core.jaxpr_as_fun(closed)(*args)


@pytest.mark.parametrize(("function", "calls"), CALLERS.values(), ids=CALLERS)
def test_calls_are_inlined_and_the_numbers_stay(function: Callable[..., Any], calls: set[str]) -> None:
    before = jax.make_jaxpr(function)(X)
    after = simplify(before)
    assert calls <= set(names(before)) & set(CALLS)
    assert not set(names(after)) & set(CALLS)
    np.testing.assert_array_equal(run(before, X), run(after, X), strict=True)


def test_constants_are_folded() -> None:
    scale = jnp.arange(4.0)
    after = simplify(jax.make_jaxpr(lambda x: x * (jnp.sin(scale) + jax.jit(jnp.cos)(2.0)))(X))
    assert names(after) == ["mul"]
    expected = X * (np.sin(np.arange(4)) + np.cos(2.0))
    np.testing.assert_allclose(run(after, X)[0], expected, rtol=1e-6)


def test_what_depends_on_an_input_only_by_its_shape_is_folded() -> None:
    after = simplify(jax.make_jaxpr(lambda x: x + jnp.arange(x.shape[1], dtype=x.dtype) * 2)(X))
    assert names(after) == ["add"]


def test_large_constants_wait_until_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = jax.make_jaxpr(lambda x: x * jax.lax.broadcasted_iota(jnp.float32, (3, 4), 1))(X)
    for limit, left in ((12, ["mul"]), (11, ["iota", "mul"])):
        monkeypatch.setattr(module, "FOLD_LIMIT", limit)
        assert names(simplify(closed)) == left


def test_random_numbers_are_never_frozen() -> None:
    after = simplify(jax.make_jaxpr(lambda x: x + jax.random.normal(jax.random.key(0), (3, 4)))(X))
    assert "random_bits" in names(after)


def test_dead_code_is_gone() -> None:
    def function(x: Any) -> Any:
        _unused = jnp.exp(jnp.sin(x))
        low, _high = jax.jit(lambda y: (jnp.tanh(y), jnp.cos(y)))(x)
        return low

    before = jax.make_jaxpr(function)(X)
    assert names(simplify(before)) == ["tanh"]


def test_effects_are_no_dead_code() -> None:
    def function(x: Any) -> Any:
        jax.debug.print("{}", x)
        return x + 1.0

    assert names(simplify(jax.make_jaxpr(function)(X))) == ["debug_print", "add"]


def test_inputs_and_outputs_stay_in_place() -> None:
    after = simplify(jax.make_jaxpr(lambda x, y: (y, x + 1.0, 3.0, y))(X, X[0]))
    found = run(after, X, X[0])
    assert [variable.aval.shape for variable in after.jaxpr.invars] == [(3, 4), (4,)]
    for value, expected in zip(found, (X[0], X + 1, np.float32(3), X[0]), strict=True):
        np.testing.assert_array_equal(value, expected)


def with_composites(x: Any) -> Any:
    return composites.silu(jnp.sin(composites.softmax(x)))


def test_composites_stay_whole_and_simple_inside() -> None:
    after = simplify(jax.make_jaxpr(with_composites)(X))
    found = [composite_name(equation) for equation in after.jaxpr.eqns]
    assert found == ["lwmport.softmax", None, "lwmport.silu"]
    inside = [name for equation in after.jaxpr.eqns[::2] for name in names(equation.params["jaxpr"])]
    assert not set(inside) & set(CALLS)


@pytest.mark.parametrize(
    ("refused", "left"),
    [
        ({"lwmport.softmax"}, ["lwmport.silu"]),
        ({"lwmport.silu"}, ["lwmport.softmax"]),
        ({"lwmport.softmax", "lwmport.silu"}, []),
    ],
)
def test_refused_composites_are_decomposed(refused: set[str], left: list[str]) -> None:
    before = jax.make_jaxpr(with_composites)(X)
    after = simplify(before, lambda equation: composite_name(equation) not in refused)
    assert [name for equation in after.jaxpr.eqns if (name := composite_name(equation))] == left
    np.testing.assert_array_equal(run(before, X), run(after, X), strict=True)


def test_composites_inside_a_refused_one_are_asked_about_too() -> None:
    outer = jax.lax.composite(lambda x: composites.silu(x) + 1.0, name="outer", version=1)
    before = jax.make_jaxpr(outer)(X)
    kept = simplify(before, lambda equation: composite_name(equation) != "outer")
    assert [composite_name(equation) for equation in kept.jaxpr.eqns] == ["lwmport.silu", None]
    flat = simplify(before, lambda _: False)
    assert names(flat) == ["logistic", "mul", "add"]
    np.testing.assert_array_equal(run(before, X), run(flat, X), strict=True)
