"""One equation at conversion: numpy's rules against JAX, and JAX for everything without a rule."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax import lax

from lwmport.graphs import evaluate as module
from lwmport.graphs.evaluate import evaluate
from lwmport.models.composites import basic as composites
from lwmport.types import Array

DTYPES = ("float32", "float16", "bfloat16", "int32", "uint8", "bool")
Example = tuple[Callable[..., Any], tuple[Array, ...]]


def array(dtype: str, *shape: int, seed: int = 0) -> Array:
    values = np.random.default_rng([seed, *shape]).integers(1, 20, shape) - (0 if dtype == "uint8" else 10)
    if dtype == "bool":
        return np.asarray(values > 0)
    return np.asarray(values if dtype in ("int32", "uint8") else values / 4).astype(getattr(ml_dtypes, dtype, dtype))


def each(function: Callable[..., Any], arity: int = 1, dtypes: tuple[str, ...] = DTYPES) -> list[Example]:
    """Return examples of a function of single elements: matrices, and arrays without axes."""
    shapes = ((3, 4), ())
    return [(function, tuple(array(d, *s, seed=i) for i in range(arity))) for d in dtypes for s in shapes]


NUMBERS = DTYPES[:-1]
SIGNED = DTYPES[:-2]
CUBE = array("int32", 2, 3, 4)

EXAMPLES: dict[str, list[Example]] = {
    "add": [*each(lax.add, 2, NUMBERS), (lax.add, (np.float32([[1.5]]), array("float32", 3, 4)))],
    "broadcast_in_dim": [
        (lambda x: lax.broadcast_in_dim(x, (3, 4, 2), (1,)), (array("float32", 4),)),
        (lambda x: lax.broadcast_in_dim(x, (3, 4), (0, 1)), (array("bfloat16", 1, 4),)),
        (lambda x: lax.broadcast_in_dim(x, (2, 2), ()), (array("bool"),)),
    ],
    "concatenate": [(lambda *xs: lax.concatenate(xs, 1), (array(d, 2, 3), array(d, 2, 1))) for d in DTYPES],
    "convert_element_type": [
        (lambda x, to=to: lax.convert_element_type(x, to), (array(old, 5),))
        for old in DTYPES
        for to in ("float32", "float16", "int32", "bool")
        if to != old
    ],
    "copy": each(lax.copy_p.bind),
    "div": [
        *each(lambda x, y: lax.div(x, y + (y == 0).astype(y.dtype)), 2, NUMBERS),
        (lax.div, (np.int32([7, -7, 7, -7]), np.int32([2, 2, -2, -2]))),
        (lax.div, (np.float32([1, -1, 0, 3e38]), np.float32([0, 0, 2, 1e-3]))),
    ],
    "max": each(lax.max, 2, NUMBERS),
    "min": each(lax.min, 2, NUMBERS),
    "mul": [*each(lax.mul, 2, NUMBERS), (lax.mul, (np.int32(2**30), np.int32(5)))],
    "neg": each(lax.neg, 1, SIGNED),
    "reduce_sum": [
        (lambda x, axes=axes: lax.reduce_sum_p.bind(x, axes=axes, out_sharding=None), (array(dtype, 2, 3, 4),))
        for dtype in NUMBERS
        for axes in ((0,), (1, 2), (0, 1, 2), ())
    ],
    "reshape": [(lambda x: lax.reshape(x, (4, 6)), (CUBE,)), (lambda x: lax.reshape(x, ()), (array("bool", 1, 1),))],
    "slice": [
        (lambda x: lax.slice(x, (0, 1, 0), (2, 3, 4)), (CUBE,)),
        (lambda x: lax.slice(x, (1, 0, 0), (2, 3, 4), (1, 2, 3)), (CUBE,)),
    ],
    "squeeze": [(lambda x: lax.squeeze(x, (0, 2)), (array("bfloat16", 1, 3, 1),))],
    "sub": each(lax.sub, 2, NUMBERS),
    "transpose": [(lambda x: lax.transpose(x, (2, 0, 1)), (CUBE,))],
}


def own(function: Callable[..., Any], arrays: tuple[Array, ...], name: str) -> tuple[list[Array], list[Array]]:
    """Return what our rules and what JAX make of a function; the equation called ``name`` must be part of it."""
    closed = jax.make_jaxpr(function)(*arrays)
    assert name in [equation.primitive.name for equation in closed.jaxpr.eqns]
    values = dict(zip(closed.jaxpr.invars, arrays, strict=True))
    values.update(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    for equation in closed.jaxpr.eqns:
        operands = [np.asarray(a.val, a.aval.dtype) if hasattr(a, "val") else values[a] for a in equation.invars]
        values.update(zip(equation.outvars, evaluate(equation, operands), strict=True))
    expected = jax.jit(function)(*arrays)
    return [values[a] for a in closed.jaxpr.outvars], [np.asarray(e) for e in jax.tree.leaves(expected)]


@pytest.mark.parametrize("name", module._RULES)
def test_rule_agrees_with_jax(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert EXAMPLES.get(name), f"expected examples of the rule for {name} in EXAMPLES, found none"
    monkeypatch.setattr(module, "_with_jax", only_for(name))
    for function, arrays in EXAMPLES[name]:
        for found, expected in zip(*own(function, arrays, name), strict=True):
            np.testing.assert_array_equal(found, expected, strict=True)


def only_for(name: str) -> Callable[..., Any]:
    """Return JAX's evaluation, refused for the primitive whose own rule is on trial."""
    original = module._with_jax

    def guarded(equation: Any, operands: Any) -> Any:
        assert equation.primitive.name != name
        return original(equation, operands)

    return guarded


def test_every_example_belongs_to_a_rule() -> None:
    assert sorted(EXAMPLES) == sorted(module._RULES)


def test_sums_are_exact_before_they_are_rounded() -> None:
    values = np.float32([2**24, *[1] * 1000])
    closed = jax.make_jaxpr(jnp.sum)(values)
    (found,) = evaluate(closed.jaxpr.eqns[0], [values])
    assert float(found) == 2**24 + 1000


FALLBACK: dict[str, Example] = {
    "erf": (lax.erf, (array("float32", 3),)),
    "sort": (lambda x, y: lax.sort((x, y), num_keys=1), (array("float32", 9), array("int32", 9))),
    "iota": (lambda x: x + lax.iota(np.float32, 4), (array("float32", 4),)),
    "composite": (composites.softmax, (array("float32", 3, 4),)),
    "dot_general": (lambda x, y: x @ y, (array("float32", 3, 4), array("float32", 4, 2))),
}


@pytest.mark.parametrize(("name", "example"), FALLBACK.items(), ids=FALLBACK)
def test_jax_computes_what_has_no_rule(name: str, example: Example) -> None:
    assert name not in module._RULES
    for found, expected in zip(*own(*example, name), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=0, strict=True)


def test_jax_computes_while_a_program_is_being_traced() -> None:
    equation = jax.make_jaxpr(lax.erf)(np.float32(0.5)).jaxpr.eqns[0]
    kinds = []

    def function(x: Any) -> Any:
        (found,) = evaluate(equation, [np.asarray(0.5, np.float32)])
        kinds.append(type(found))
        return x + found

    assert float(jax.jit(function)(0.0)) == pytest.approx(0.5204999)
    assert kinds == [np.ndarray]
