"""Reading a program: who reads what, what is inside composites, what is fixed."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lwmport.graphs.atoms import (
    composite_attributes,
    composite_name,
    has_static_results,
    is_literal,
    is_random,
    readers,
    shape_of,
    value_of,
    walk,
)
from lwmport.models.composites import basic as composites

X = np.ones((1, 2, 2, 4), np.float32)


def equations(function: Any, *args: Any) -> list[Any]:
    return jax.make_jaxpr(function)(*args).jaxpr.eqns


def test_readers_count_every_reading() -> None:
    jaxpr = jax.make_jaxpr(lambda x, y: (jnp.sin(x) * jnp.sin(x), x, jnp.add(y, y)))(1.0, 2.0).jaxpr
    sine, _, product, total = jaxpr.eqns
    x, y = jaxpr.invars
    found = readers(jaxpr)
    assert found[x] == [jaxpr.eqns[0], jaxpr.eqns[1], None]
    assert found[y] == [total, total]
    assert found[sine.outvars[0]] == [product]
    assert found[product.outvars[0]] == [None]


def test_readers_ignore_literals_and_know_what_nobody_reads() -> None:
    jaxpr = jax.make_jaxpr(lambda x: (x + 1.0, jnp.sin(x))[1])(2.0).jaxpr
    found = readers(jaxpr)
    assert found[jaxpr.eqns[0].outvars[0]] == []
    assert not any(is_literal(atom) for atom in found)


def test_literals_are_told_from_variables() -> None:
    (equation,) = equations(lambda x: x + 1.0, 2.0)
    assert [is_literal(atom) for atom in equation.invars] == [False, True]


def test_a_literal_has_the_dtype_of_the_program_and_a_variable_what_is_given() -> None:
    (equation,) = equations(lambda x: x + 1.0, np.float16(2))
    variable, literal = equation.invars
    assert value_of(variable, {variable: X}) is X
    assert value_of(literal, {}).dtype == np.float16
    assert value_of(literal, {}) == 1


def test_walk_descends_into_nested_composites() -> None:
    outer = jax.lax.composite(lambda x: composites.silu(x) + 1.0, name="outer", version=1)
    jaxpr = jax.make_jaxpr(lambda x: outer(jnp.sin(x)))(X).jaxpr
    assert [composite_name(e) or e.primitive.name for e in walk(jaxpr)] == [
        "sin", "outer", "lwmport.silu", "logistic", "mul", "add",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("composite", "expected"),
    [
        (
            lambda x: composites.group_norm(x, x[0, 0, 0], x[0, 0, 0], groups=2, epsilon=1e-6),
            {"groups": 2, "epsilon": 1e-6},
        ),
        (lambda x: composites.upsample_nearest(x, factor=3), {"factor": 3}),
        (composites.silu, {}),
        (jax.lax.composite(lambda x, **_: x, name="listed"), {"sizes": (2, 3), "mode": "same"}),
    ],
)
def test_attributes_of_a_composite(composite: Any, expected: dict[str, Any]) -> None:
    given = expected if "mode" in expected else {}
    *_, last = equations(lambda x: composite(x, **given), X)
    assert composite_attributes(last) == expected


def test_no_other_equation_is_a_composite() -> None:
    assert [composite_name(equation) for equation in equations(lambda x: jax.jit(jnp.sin)(x) + 1.0, X)] == [None, None]


def test_dynamic_sizes_are_texts() -> None:
    (batch,) = jax.export.symbolic_shape("batch")
    closed = jax.make_jaxpr(lambda x: x.reshape(-1, 2))(jax.ShapeDtypeStruct((batch, 6), np.float32))
    (x,), (y,) = closed.jaxpr.invars, closed.jaxpr.outvars
    assert (shape_of(x), shape_of(y)) == (("batch", 6), ("3*batch", 2))
    assert not has_static_results(closed.jaxpr.eqns[-1])
    assert has_static_results(equations(lambda x: x + 1.0, X)[0])


def test_random_primitives_are_told_from_others() -> None:
    drawn = equations(lambda: jax.random.bits(jax.random.key(0), (2,)))
    assert "random_bits" in [equation.primitive.name for equation in drawn if is_random(equation)]
    assert not any(map(is_random, equations(lambda x: jnp.sin(x) + 1.0, X)))
    hashed = equations(lambda key: jax.extend.random.threefry_2x32(key, key), np.zeros(2, np.uint32))
    assert [equation.primitive.name for equation in hashed if is_random(equation)] == ["threefry2x32"]
