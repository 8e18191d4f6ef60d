"""Every primitive's rule against JAX, on flat, scalar, broadcast and constant operands.

Inputs are small multiples of 1/4, so that sums are exact and ties are frequent.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from primitive_cases import NHWC, Example, array, convolved, element_examples, positive, quarters

from lwmport.converters.saved_model.rules import PRIMITIVES
from lwmport.models.layers import rows

FLOATS = ("float32", "float16")
NUMBERS = (*FLOATS, "int32")
ANY = (*NUMBERS, "bool")


def elementwise(function: Callable[..., Any], arity: int, dtypes: tuple[str, ...]) -> list[Example]:
    """Return examples of a function of single elements: every dtype, a vector and a scalar, a constant operand."""
    found: list[Example] = []
    for dtype in dtypes:
        found.append((function, tuple(array(dtype, 7, seed=i) for i in range(arity))))
        found.append((function, tuple(array(dtype, seed=i) for i in range(arity))))
    if arity == 2:
        wide, small = array(dtypes[0], 4, 3), array(dtypes[0], 1, 3, seed=1)
        found += [(function, (wide, small)), (function, (small, wide))]
        found += [(lambda x: function(x, small), (wide,)), (lambda x: function(small, x), (wide,))]
    return found


GRID = quarters(*NHWC)
TABLE = quarters(9, 4)


def pooled(x: Any, window: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    return lax.reduce_window(x, np.float32(0), lax.add, window, strides, "VALID")


def reductions(primitive: Any, dtype: str = "float32") -> list[Example]:
    def reduce(x: Any, axes: tuple[int, ...]) -> Any:
        return primitive.bind(x, axes=axes, **({} if dtype == "bool" else {"out_sharding": None}))

    examples: list[Example] = [
        (lambda x: reduce(x, (0,)), (array(dtype, 3, 4),)),
        (lambda x: reduce(x, (1, 2)), (array(dtype, *NHWC),)),
        (lambda x: reduce(x, (0, 1, 2, 3)), (array(dtype, *NHWC),)),
        (lambda x: reduce(x, ()), (array(dtype, 3, 4),)),
    ]
    return examples if dtype == "bool" else [*examples, (lambda x: reduce(x, (0,)), (array("int32", 3, 4),))]


def choices(function: Callable[..., Any]) -> list[Example]:
    return [
        (lambda x: function(x, 1, jnp.int32), (quarters(6, 9),)),
        (lambda x: function(x, 0, jnp.int32), (array("int32", 9, 2),)),
        (lambda x: function(x, 3, jnp.int32), (GRID,)),
    ]


def update(x: Any, new: Any, *starts: Any) -> Any:
    return lax.dynamic_update_slice(x, new, starts, allow_negative_indices=False)


def running(x: Any) -> Any:
    total, (products, signs) = lax.scan(lambda sum_, row: (sum_ + row, (sum_ * row, row > 0)), jnp.ones_like(x[0]), x)
    return total + products.sum(0) * signs.sum(0, dtype=np.float32)


OTHERS: dict[str, list[Example]] = {
    "argmax": choices(lax.argmax),
    "argmin": choices(lax.argmin),
    "broadcast_in_dim": [
        (lambda x: lax.broadcast_in_dim(x, (2, 3, 4), (1,)), (quarters(3),)),
        (lambda x: lax.broadcast_in_dim(x, (2, 3), ()), (quarters(),)),
        (lambda x: lax.broadcast_in_dim(x, (5, 3), (0, 1)), (quarters(1, 3),)),
        (lambda x: lax.broadcast_in_dim(x, (3, 1, 4, 1), (0, 2)), (array("int32", 3, 4),)),
    ],
    "clamp": [(lambda x: lax.clamp(np.float32(-0.5), x, np.float32(1)), (quarters(4, 5),))],
    "concatenate": [
        (lambda x, y: lax.concatenate([x, y], 0), (array("int32", 2, 3), array("int32", 4, 3))),
        (lambda x: lax.concatenate([jnp.ones((2, 1, 5, 3)), x], 1), (GRID,)),
    ],
    "conv_general_dilated": [
        (lambda x: convolved(x, quarters(3, 3, 3, 2)), (GRID,)),
        (lambda x: convolved(x, quarters(3, 3, 3, 2)) + quarters(1, 1, 1, 2), (GRID,)),
        (lambda x: convolved(x, quarters(2, 3, 3, 4), (2, 1), "VALID"), (GRID,)),
        (lambda x: convolved(x, quarters(3, 3, 3, 4), (2, 2)), (GRID,)),
        (lambda x: convolved(x, quarters(3, 2, 3, 4), (1, 2), ((0, 2), (3, 1))), (GRID,)),
        (lambda x: convolved(x, quarters(2, 2, 3, 2), rhs_dilation=(2, 3)), (GRID,)),
        (lambda x: convolved(x, quarters(3, 3, 1, 6), feature_group_count=3), (GRID,)),
        (convolved, (GRID, quarters(3, 3, 3, 2))),
        (lambda x, k: lax.conv_general_dilated(x, k, (1, 1), "SAME"), (quarters(2, 3, 4, 5), quarters(2, 3, 3, 3))),
    ],
    "convert_element_type": [
        (lambda x, to=to: x.astype(to), (array(dtype, 7),)) for dtype in (*ANY, "uint8") for to in ANY if to != dtype
    ],
    "dot_general": [
        (lambda x, y: x @ y, (quarters(3, 4), quarters(4, 5))),
        (lambda x, y: x @ y, (quarters(4), quarters(4, 5))),
        (lambda x, y: x @ y, (quarters(3, 4), quarters(4))),
        (lambda x, y: x @ y, (quarters(4), quarters(4, seed=1))),
        (lambda x, y: x @ y, (array("int32", 3, 4), array("int32", 4, 5))),
        (lambda x: x @ quarters(4, 5), (quarters(2, 3, 4),)),
        (lambda x: quarters(5, 2) @ x, (quarters(2, 3),)),
        (lambda x: x @ jnp.transpose(jnp.asarray(quarters(5, 4))), (quarters(3, 4),)),
        (lambda x, y: x.T @ y, (quarters(4, 3), quarters(4, 5))),
        (lambda x, y: jnp.einsum("bqc,bkc->bqk", x, y), (quarters(2, 3, 4), quarters(2, 5, 4))),
        (lambda x, y: jnp.einsum("bcq,bck->bqk", x, y), (quarters(2, 4, 3), quarters(2, 4, 5))),
        (lambda x, y: jnp.einsum("bhqc,bkhc->bhqk", x, y), (quarters(2, 3, 4, 5), quarters(2, 6, 3, 5))),
        (lambda x, y: jnp.einsum("bijc,bklc->bijkl", x, y), (quarters(2, 3, 4, 5), quarters(2, 2, 3, 5))),
        (lambda x, y: jnp.einsum("bc,bc->b", x, y), (quarters(3, 4), quarters(3, 4, seed=1))),
        (lambda x, y: jnp.einsum("ij,ijk->k", x, y), (quarters(3, 4), quarters(3, 4, 5))),
        (lambda x, y: jnp.einsum("ij,kl->ijkl", x, y), (quarters(2, 3), quarters(4, 5))),
        (
            lambda x, y: lax.dot(x, y, preferred_element_type=np.float32),
            (array("float16", 3, 4), array("float16", 4, 5)),
        ),
    ],
    "cond": [
        (lambda p, x: lax.cond(p, jnp.sin, jnp.cos, x), (np.asarray(1, np.bool_), quarters(3))),
        (lambda i, x: lax.switch(i, [jnp.sin, jnp.cos, jnp.tanh], x), (np.asarray(2, np.int32), quarters(3))),
    ],
    "dynamic_update_slice": [
        (lambda x, i: update(x, quarters(6, 3), np.int32(0), i), (quarters(6, 7), np.asarray(2, np.int32))),
        (lambda x, i: update(x, quarters(2), i), (quarters(5), np.asarray(9, np.int32))),
        (lambda x, i: update(x, quarters(2), i), (quarters(2), np.asarray(0, np.int32))),
    ],
    "gather": [
        (lambda i: rows(jnp.asarray(TABLE), i), (np.asarray([0, 8, 3], np.int32),)),
        (lambda i: rows(jnp.asarray(TABLE), i), (np.asarray([[0, 8, 3], [1, 1, 2]], np.int32),)),
        (lambda i: rows(jnp.asarray(TABLE), i), (np.asarray(5, np.int32),)),
        (rows, (TABLE, np.asarray([[[0, 8], [3, 3]]], np.int32))),
        (lambda t: rows(t, jnp.asarray([2, 0])), (quarters(4, 2),)),
        (
            lambda t, i: lax.gather(
                t,
                i,
                lax.GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,)),
                (1, 4),
                mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS,
            ),
            (TABLE, np.asarray([[0], [8]], np.int32)),
        ),
    ],
    "integer_pow": [
        *elementwise(lambda x: lax.integer_pow(x, 2), 1, NUMBERS),
        *elementwise(lambda x: lax.integer_pow(x, 3), 1, ("float32", "int32")),
        (positive(lambda x: lax.integer_pow(x, -2)), (quarters(9),)),
    ],
    "pad": [
        (lambda x: lax.pad(x, np.float32(0), ((1, 2, 0), (0, 3, 0))), (quarters(2, 3),)),
        (lambda x: lax.pad(x, np.float32(-1.5), ((1, 2, 0), (0, 3, 0))), (quarters(2, 3),)),
        (lambda x, fill: lax.pad(x, fill, ((1, 1, 0),)), (array("int32", 3), array("int32"))),
        (
            lambda x: convolved(jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0))), quarters(3, 3, 3, 2), (2, 2), "VALID"),
            (GRID,),
        ),
    ],
    "reduce_and": reductions(lax.reduce_and_p, "bool"),
    "reduce_max": reductions(lax.reduce_max_p),
    "reduce_min": reductions(lax.reduce_min_p),
    "reduce_or": reductions(lax.reduce_or_p, "bool"),
    "reduce_prod": reductions(lax.reduce_prod_p),
    "reduce_sum": reductions(lax.reduce_sum_p),
    "reduce_window": [
        (
            lambda x: lax.reduce_window(x, jnp.zeros((), x.dtype), lax.add, (1, 2, 1, 1), (1, 1, 1, 1), "VALID"),
            (GRID,),
        ),
    ],
    "reduce_window_sum": [
        (lambda x: pooled(x, (1, 2, 2, 1), (1, 2, 2, 1)), (GRID,)),
        (lambda x: pooled(x, (1, 3, 2, 1), (1, 1, 2, 1)), (GRID,)),
    ],
    "reshape": [
        (lambda x: lax.reshape(x, (6, 4)), (quarters(2, 3, 4),)),
        (lambda x: lax.reshape(x, ()), (quarters(1, 1),)),
        (lambda x: lax.reshape(x, (1, 1)), (array("bool"),)),
    ],
    "scan": [(running, (quarters(4, 3),)), (lambda x: lax.scan(lambda c, y: (c, y * c), x[0], x)[1], (quarters(5),))],
    "shift_right_arithmetic": [
        (lambda x: lax.shift_right_arithmetic(x, np.int32(2)), (np.asarray([-9, 5, 16], np.int32),)),
    ],
    "select_n": [
        (lax.select_n, (array("bool", 3, 4), quarters(3, 4), quarters(3, 4, seed=1))),
        (lax.select_n, (array("bool"), array("int32", 3, 4), array("int32", 3, 4, seed=1))),
    ],
    "slice": [
        (lambda x: lax.slice(x, (1, 0), (3, 4)), (quarters(4, 5),)),
        (lambda x: lax.slice(x, (0, 1), (4, 8), (3, 2)), (array("int32", 4, 9),)),
        (lambda x: x[:, ::2, 1:, :1], (GRID,)),
        (lambda x: lax.slice(x, (0, 0), (4, 5)), (quarters(4, 5),)),
    ],
    "squeeze": [
        (lambda x: lax.squeeze(x, (1, 3)), (quarters(2, 1, 3, 1),)),
        (lambda x: lax.squeeze(x, (0,)), (array("bool", 1),)),
    ],
    "transpose": [
        (lambda x: lax.transpose(x, (1, 0)), (array("int32", 2, 3),)),
        (lambda x: lax.transpose(x, (2, 0, 1)), (quarters(2, 3, 4),)),
    ],
}

EXAMPLES: dict[str, list[Example]] = {
    **element_examples(PRIMITIVES, elementwise, FLOATS),
    **OTHERS,
}
EXAMPLES["and"] += [(lambda x: lax.bitwise_and(x, np.int32(7)), (np.asarray([-9, 5, 16], np.int32),))]
ELSEWHERE = {"dim_as_value", "iota"}
"""Rules that only programs of dynamic sizes need: test_tensorflow_sizes.py."""


@pytest.mark.parametrize("name", [name for name in PRIMITIVES if name not in ELSEWHERE])
def test_rule_agrees_with_jax(name: str, lower: Callable[..., Any]) -> None:
    examples = EXAMPLES.get(name)
    assert examples, f"expected examples of the rule for {name} in EXAMPLES, found none"

    def all_examples(*inputs: Any) -> tuple[Any, ...]:
        given = iter(inputs)
        return tuple(function(*(next(given) for _ in arrays)) for function, arrays in examples)

    lowered = lower(all_examples, *(x for _, arrays in examples for x in arrays)).agrees()
    used = [equation.primitive.name for equation in lowered.program.jaxpr.eqns].count(name)
    assert used >= len(examples) - 1, f"expected {name} in each of {len(examples)} examples, found it {used} times"


def test_every_example_belongs_to_a_rule() -> None:
    assert sorted(EXAMPLES) == sorted(set(PRIMITIVES) - ELSEWHERE)


def test_a_weight_is_read_in_place(lower: Callable[..., Any]) -> None:
    kernel, bias, table = quarters(3, 3, 3, 2), quarters(2), quarters(5, 2)
    found = lower(
        lambda x, kernel, bias, table: (convolved(x, kernel) + bias.reshape(1, 1, 1, 2)).reshape(-1, 2) @ table.T,
        GRID,
        weights={"kernel": kernel, "bias": bias, "table": table},
    ).agrees()
    assert found.computing == {"BiasAdd": 1, "Conv2D": 1, "MatMul": 1, "Reshape": 1}
    np.testing.assert_array_equal(found.variables.kernel.numpy(), kernel)


def test_what_conversion_can_compute_is_a_variable(lower: Callable[..., Any]) -> None:
    table = quarters(5, 4)
    found = lower(lambda x, table: x + jnp.sum(table * table, axis=1), quarters(5), weights={"table": table}).agrees()
    assert found.computing == {"AddV2": 1}
    np.testing.assert_allclose(found.variables.table_reduce_sum.numpy(), (table**2).sum(1))


@pytest.mark.parametrize("size", [1, 3])
def test_the_batch_may_be_dynamic(size: int, lower: Callable[..., Any]) -> None:
    def function(x: Any) -> Any:
        y = lax.slice_in_dim(convolved(x, quarters(3, 3, 3, 2)), 1, 2, axis=3)
        return jnp.broadcast_to(y.reshape(x.shape[0], 20, 1), (x.shape[0], 20, 3))

    lower(function, quarters(size, 4, 5, 3), dynamic=True).agrees()
