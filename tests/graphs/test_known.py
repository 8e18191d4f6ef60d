"""What can be computed at conversion: the right values, read when asked for, and nothing that needs an input."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from lwmport.graphs.program import Program
from lwmport.graphs.trace import trace
from lwmport.models.composites import basic as composites
from lwmport.types import WeightSpec

RANDOM = np.random.default_rng(3)
X = RANDOM.standard_normal((2, 4)).astype(np.float32)
WEIGHTS = {
    "dense/bias": RANDOM.standard_normal(3).astype(np.float32),
    "dense/kernel": RANDOM.standard_normal((4, 3)).astype(np.float32),
}


def folded(kernel: Any, bias: Any) -> tuple[Any, ...]:
    """Return what a model may derive from its weights: views, arithmetic, functions, composites, several results."""
    values, order = jax.lax.sort_key_val(bias, jnp.arange(3))
    return (
        kernel.T[::2] * 2.0,
        jnp.linalg.norm(kernel, axis=0) / 3.0,
        composites.softmax(kernel),
        jnp.concatenate([kernel, bias[None]]),
        values,
        order,
    )


@pytest.fixture
def program(component_of: Callable[..., Any]) -> Program:
    def function(x: Any, **weights: Any) -> tuple[Any, ...]:
        kernel, bias = weights["dense/kernel"], weights["dense/bias"]
        return x @ kernel + bias, *folded(kernel, bias), jnp.float32(2.5)

    return trace(component_of(function, [X], WEIGHTS))


def test_derived_weights_have_jaxs_values(program: Program, weights_of: Callable[..., Any]) -> None:
    held = weights_of(WEIGHTS)
    expected = folded(WEIGHTS["dense/kernel"], WEIGHTS["dense/bias"])
    atoms = program.jaxpr.outvars[1:-1]
    for atom, value in zip(atoms, expected, strict=True):
        assert atom in program.known
        found = program.known.value(atom, held)
        assert (found.shape, found.dtype) == (atom.aval.shape, atom.aval.dtype)
        np.testing.assert_allclose(found, value, rtol=1e-6)


def test_roots_name_the_first_weight(program: Program) -> None:
    roots = [program.known.root(atom) for atom in program.jaxpr.outvars[1:]]
    kernel, bias = "dense/kernel", "dense/bias"
    assert roots == [kernel, kernel, kernel, kernel, bias, bias, None]


def test_literals_and_constants_are_known_without_a_weight(
    component_of: Callable[..., Any], weights_of: Callable[..., Any]
) -> None:
    table = np.arange(8, dtype=np.float32).reshape(2, 4)
    program = trace(component_of(lambda x: (x * jnp.asarray(table), jnp.float32(2.5)), [X]))
    (equation,) = program.jaxpr.eqns
    for atom, expected in ((equation.invars[1], table), (program.jaxpr.outvars[1], np.float32(2.5))):
        assert atom in program.known
        assert program.known.root(atom) is None
        np.testing.assert_array_equal(program.known.value(atom, weights_of({})), expected, strict=True)


def test_nothing_that_needs_an_input_is_known(program: Program) -> None:
    (x,) = program.input_vars
    matmul = next(equation for equation in program.jaxpr.eqns if equation.primitive.name == "dot_general")
    assert x not in program.known
    assert matmul.outvars[0] not in program.known
    assert program.jaxpr.outvars[0] not in program.known
    assert all(
        any(variable not in program.known for variable in equation.invars if not hasattr(variable, "val"))
        for equation in program.jaxpr.eqns
        if equation.outvars[0] not in program.known
    )


def test_weights_are_read_when_a_value_is_asked_for_and_only_those(
    program: Program, weights_of: Callable[..., Any]
) -> None:
    held = weights_of(WEIGHTS)
    sorted_bias = program.jaxpr.outvars[5]
    assert (sorted_bias in program.known, program.known.root(sorted_bias), held.reads) == (True, "dense/bias", [])
    program.known.value(sorted_bias, held)
    assert held.reads == ["dense/bias"]


def test_weights_come_in_the_programs_dtype(component_of: Callable[..., Any], weights_of: Callable[..., Any]) -> None:
    specs = {"kernel": WeightSpec(shape=(4, 3), dtype="float32")}
    program = trace(component_of(lambda x, kernel: x @ kernel, [X], {"kernel": np.zeros((4, 3), np.float32)}))
    stored = WEIGHTS["dense/kernel"].astype(ml_dtypes.bfloat16)
    found = program.known.value(program.jaxpr.invars[0], weights_of({"kernel": stored}))
    assert str(found.dtype) == specs["kernel"].dtype
    np.testing.assert_array_equal(found, stored.astype(np.float32))


def test_random_numbers_and_what_they_touch_are_unknown(component_of: Callable[..., Any]) -> None:
    def noisy(x: Any) -> Any:
        return x + jax.random.uniform(jax.random.key(1), (4,)) * 2.0

    program = trace(component_of(noisy, [X]))
    drawn = [equation for equation in program.jaxpr.eqns if equation.primitive.name == "random_bits"]
    assert len(drawn) == 1
    assert drawn[0].outvars[0] not in program.known
    assert program.jaxpr.eqns[-1].invars[1] not in program.known


def test_values_of_dynamic_size_are_unknown(component_of: Callable[..., Any]) -> None:
    program = trace(component_of(lambda x: x + jnp.ones((x.shape[0], 1)), [X], dynamic=True), "dynamic")
    ones = next(equation for equation in program.jaxpr.eqns if equation.primitive.name == "broadcast_in_dim")
    assert ones.outvars[0] not in program.known


def test_a_rearranged_weight_is_told_from_a_computed_one(
    component_of: Callable[..., Any], weights_of: Callable[..., Any]
) -> None:
    def function(x: Any, **weights: Any) -> tuple[Any, ...]:
        kernel = weights["dense/kernel"]
        turned = kernel.T.reshape(2, 6)
        return x @ kernel, turned, kernel * 2.0, kernel[:2], jnp.float32(1.0)

    program = trace(component_of(function, [X], {"dense/kernel": WEIGHTS["dense/kernel"]}))
    product, turned, *others = program.jaxpr.outvars
    known, kernel = program.known, WEIGHTS["dense/kernel"].astype(np.float16)
    assert known.rearranged(turned) == "dense/kernel"
    assert [known.rearranged(atom) for atom in (product, *others)] == ["", "", "", ""]
    found = known.packed(turned, weights_of({"dense/kernel": kernel}))
    assert found.dtype == np.float16
    assert np.array_equal(found, kernel.T.reshape(2, 6))
