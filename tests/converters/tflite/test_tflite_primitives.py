"""Every primitive's rule against JAX, through LiteRT: flat, scalar, broadcast, thin.

Inputs and kernels are small multiples of 1/4, so that sums are exact and ties are frequent.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from primitive_cases import NHWC, Example, array, convolved, element_examples, positive, quarters

from lwmport.converters.tflite.convert import PRIMITIVES
from lwmport.models.layers import rows

FLOATS = ("float32",)
SHORT = ("float32", "int32")
ANY = (*SHORT, "bool")


def elementwise(function: Callable[..., Any], arity: int, dtypes: tuple[str, ...]) -> Iterator[Example]:
    """Yield examples of a function of single elements for every dtype."""
    for dtype in dtypes:
        for shape in ((7,), (), NHWC):
            yield function, tuple(array(dtype, *shape, seed=i) for i in range(arity))
    if arity == 2:
        yield from _broadcast(function, dtypes[0])


def _broadcast(function: Callable[..., Any], dtype: str) -> Iterator[Example]:
    """Yield examples in which the second operand is smaller, constant or spread by JAX, on either side."""
    for shape in ((1, 1, 1, 3), (1, 1, 5, 1), (1, 4, 5, 1), (2, 1, 1, 1)):
        small = array(dtype, *shape, seed=2)
        yield lambda x, c=small: function(x, c), (array(dtype, *NHWC),)
        yield lambda x, c=small: function(c, x), (array(dtype, *NHWC),)
        yield lambda x, y: function(x, jnp.broadcast_to(y, NHWC)), (array(dtype, *NHWC), small)
        yield lambda y: function(jnp.broadcast_to(y, NHWC), jnp.broadcast_to(y, NHWC)), (small,)
    row = array(dtype, 3, seed=4)
    yield lambda x: function(x, jnp.broadcast_to(row, NHWC)), (array(dtype, *NHWC),)
    yield lambda x: function(jnp.broadcast_to(x, (4, 3)), row[None]), (array(dtype, seed=3),)


ZERO = np.float32(0)
GRID, LINE = quarters(*NHWC), quarters(9)
TABLE = quarters(9, 4)
KERNEL = quarters(3, 3, 3, 2)


def reductions(function: Callable[..., Any], dtype: str = "float32") -> list[Example]:
    return [
        (lambda x, axes=axes: function(x, axes), (array(dtype, *NHWC),))
        for axes in ((0,), (3,), (1, 2), (0, 1, 2, 3), ())
    ]


def bound(primitive: Any) -> Callable[[Any, tuple[int, ...]], Any]:
    sharding = {} if primitive in {lax.reduce_and_p, lax.reduce_or_p} else {"out_sharding": None}
    return lambda x, axes: primitive.bind(x, axes=axes, **sharding)


def choices(function: Callable[..., Any]) -> list[Example]:
    return [
        (lambda x: function(x, 1, jnp.int32), (quarters(6, 9),)),
        (lambda x: function(x, 0, jnp.int32), (array("int32", 9, 2),)),
        (lambda x: function(x, 3, jnp.int32), (GRID,)),
    ]


def update(x: Any, new: Any, *starts: Any) -> Any:
    return lax.dynamic_update_slice(x, new, starts, allow_negative_indices=False)


def window_sum(x: Any, window: tuple[int, ...], strides: tuple[int, ...], start: Any = ZERO) -> Any:
    return lax.reduce_window(x, start, lax.add, window, strides, "VALID")


OTHERS: dict[str, list[Example]] = {
    "argmax": choices(lax.argmax),
    "argmin": choices(lax.argmin),
    "broadcast_in_dim": [
        (lambda x: lax.broadcast_in_dim(x, (2, 3, 4), (1,)), (quarters(3),)),
        (lambda x: lax.broadcast_in_dim(x, (2, 3), ()), (quarters(),)),
        (lambda x: lax.broadcast_in_dim(x, (5, 3), (0, 1)), (quarters(1, 3),)),
        (lambda x: lax.broadcast_in_dim(x, (3, 1, 4, 1), (0, 2)), (array("int32", 3, 4),)),
        (lambda x: lax.broadcast_in_dim(x, (2, 4, 2, 5, 3), (0, 1, 3, 4)), (GRID,)),
    ],
    "clamp": [
        (lambda x: lax.clamp(np.float32(-0.5), x, np.float32(0.75)), (GRID,)),
        (lax.clamp, (array("int32", 5), array("int32", 5, seed=1), array("int32", 5, seed=2) + 9)),
    ],
    "concatenate": [
        (lambda x, y: lax.concatenate([x, y], 0), (array("int32", 2, 3), array("int32", 4, 3))),
        (lambda x: lax.concatenate([x, -x, x, x, -x], 3), (GRID,)),
        (lambda x: lax.concatenate([jnp.ones((2, 1, 5, 3)), x], 1), (GRID,)),
    ],
    "conv_general_dilated": [
        (lambda x: convolved(x, KERNEL), (GRID,)),
        (lambda x: convolved(x, KERNEL) + quarters(1, 1, 1, 2), (GRID,)),
        (lambda x: convolved(x, KERNEL) + jnp.broadcast_to(quarters(2), (2, 4, 5, 2)), (GRID,)),
        (lambda x: convolved(x, KERNEL) + jnp.broadcast_to(quarters(), (2, 4, 5, 2)), (GRID,)),
        (lambda x: quarters(1, 1, 1, 2) + convolved(x, KERNEL), (GRID,)),
        (lambda x: convolved(x, KERNEL) + quarters(1, 4, 1, 1), (GRID,)),
        (lambda x: convolved(x, quarters(2, 3, 3, 4), (2, 1), "VALID"), (GRID,)),
        (lambda x: convolved(x, quarters(3, 3, 3, 4), (2, 2), "SAME"), (GRID,)),
        (lambda x: convolved(x, quarters(3, 2, 3, 4), (1, 2), ((0, 2), (3, 1))), (GRID,)),
        (lambda x: convolved(x, quarters(2, 2, 3, 2), rhs_dilation=(2, 3)), (GRID,)),
        (lambda x: convolved(x, quarters(3, 3, 1, 6), feature_group_count=3), (GRID,)),
        (lambda x: lax.conv_general_dilated(x, quarters(2, 3, 3, 3), (1, 1), "SAME"), (quarters(2, 3, 4, 5),)),
    ],
    "convert_element_type": [
        (lambda x, to=to: x.astype(to), (array(dtype, 7),)) for dtype in ANY for to in ANY if to != dtype
    ],
    "cumsum": [
        (lambda x: lax.cumsum(x, 1), (quarters(3, 4),)),
        (lambda x: lax.cumsum(x, 0, reverse=True), (array("int32", 3, 4),)),
    ],
    "dot_general": [
        (lambda x, y: x @ y, (quarters(3, 4), quarters(4, 5))),
        (lambda x, y: x @ y, (quarters(4), quarters(4, 5))),
        (lambda x, y: x @ y, (quarters(3, 4), quarters(4))),
        (lambda x, y: x @ y, (quarters(4), quarters(4, seed=1))),
        (lambda x: x @ quarters(4, 5), (quarters(2, 3, 4),)),
        (lambda x: x @ quarters(4, 5), (quarters(4),)),
        (lambda x: x @ quarters(4), (quarters(3, 4),)),
        (lambda x: quarters(5, 2) @ x, (quarters(2, 3),)),
        (lambda x: jnp.einsum("bhwc,cd->bhwd", x, quarters(3, 2)), (GRID,)),
        (lambda x: jnp.einsum("bhwc,whd->bcd", x, quarters(5, 4, 2)), (GRID,)),
        (lambda x: jnp.einsum("bhc,bcd->bhd", x, quarters(2, 4, 5)), (quarters(2, 3, 4),)),
        (lambda x, y: jnp.einsum("bqc,bkc->bqk", x, y), (quarters(2, 3, 4), quarters(2, 5, 4))),
        (lambda x, y: jnp.einsum("bcq,bck->bqk", x, y), (quarters(2, 4, 3), quarters(2, 4, 5))),
        (lambda x, y: jnp.einsum("bhqc,bkhc->bhqk", x, y), (quarters(2, 3, 4, 5), quarters(2, 6, 3, 5))),
        (lambda x, y: jnp.einsum("bijc,bklc->bijkl", x, y), (quarters(2, 3, 4, 5), quarters(2, 2, 3, 5))),
        (lambda x, y: jnp.einsum("bc,bc->b", x, y), (quarters(3, 4), quarters(3, 4, seed=1))),
        (lambda x, y: jnp.einsum("ij,ijk->k", x, y), (quarters(3, 4), quarters(3, 4, 5))),
        (lambda x, y: jnp.einsum("ij,kl->ijkl", x, y), (quarters(2, 3), quarters(4, 5))),
    ],
    "dynamic_update_slice": [
        (lambda x, i: update(x, quarters(2, 3), i, i), (quarters(6, 7), np.asarray(1, np.int32))),
        (lambda x, i: update(x, array("int32", 2), i), (array("int32", 5), np.asarray(3, np.int32))),
    ],
    "gather": [
        (lambda i: rows(jnp.asarray(TABLE), i), (np.asarray([0, 8, 3], np.int32),)),
        (lambda i: rows(jnp.asarray(TABLE), i), (np.asarray([[0, 8, 3], [1, 1, 2]], np.int32),)),
        (lambda i: rows(jnp.asarray(TABLE), i), (np.asarray(5, np.int32),)),
        (rows, (TABLE, np.asarray([[[0, 8], [3, 3]]], np.int32))),
        (
            lambda i: lax.gather(
                jnp.asarray(TABLE),
                i,
                lax.GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,)),
                (1, 4),
                mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS,
            ),
            (np.asarray([[7], [0]], np.int32),),
        ),
    ],
    "integer_pow": [
        example for power in (2, 3, 4) for example in elementwise(lambda x, y=power: lax.integer_pow(x, y), 1, FLOATS)
    ]
    + [(positive(lambda x: lax.integer_pow(x, -2)), (LINE,)), (lambda x: lax.integer_pow(x, 2), (array("int32", 4),))],
    "pad": [
        (lambda x: lax.pad(x, np.float32(0), ((1, 2, 0), (0, 3, 0))), (quarters(2, 3),)),
        (lambda x: lax.pad(x, np.float32(-1.5), ((1, 2, 0), (0, 3, 0))), (quarters(2, 3),)),
        (lambda x, fill: lax.pad(x, fill, ((1, 1, 0),)), (array("int32", 3), array("int32"))),
        (lambda x: convolved(jnp.pad(x, ((0, 0), (0, 1), (2, 1), (0, 0))), KERNEL, padding="VALID"), (GRID,)),
        (lambda x: convolved(jnp.pad(x, ((0, 0), (0, 1), (2, 1), (0, 0))), KERNEL, padding="SAME"), (GRID,)),
        (lambda x: convolved(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=1.0), KERNEL), (GRID,)),
        (lambda x: convolved(jnp.pad(x, ((0, 1), (0, 1), (0, 0), (1, 0))), quarters(3, 3, 4, 2)), (GRID,)),
    ],
    "reduce_and": reductions(bound(lax.reduce_and_p), "bool"),
    "reduce_max": reductions(bound(lax.reduce_max_p)),
    "reduce_min": reductions(bound(lax.reduce_min_p), "int32"),
    "reduce_or": reductions(bound(lax.reduce_or_p), "bool"),
    "reduce_prod": reductions(bound(lax.reduce_prod_p)),
    "reduce_sum": reductions(bound(lax.reduce_sum_p)) + reductions(bound(lax.reduce_sum_p), "int32"),
    "reduce_window": [
        (lambda x: window_sum(x, (1, 2, 2, 1), (1, 2, 2, 1), jnp.zeros((), np.float32)), (GRID,)),
    ],
    "reduce_window_sum": [
        (lambda x: window_sum(x, (1, 2, 2, 1), (1, 2, 2, 1)), (GRID,)),
        (lambda x: window_sum(x, (1, 3, 2, 1), (1, 1, 2, 1)), (GRID,)),
    ],
    "reshape": [
        (lambda x: lax.reshape(x, (6, 4)), (quarters(2, 3, 4),)),
        (lambda x: lax.reshape(x, ()), (quarters(1, 1),)),
        (lambda x: lax.reshape(x, (1, 1)), (array("bool"),)),
    ],
    "rev": [(lambda x: lax.rev(x, (1, 3)), (GRID,)), (lambda x: lax.rev(x, (0,)), (array("int32", 5),))],
    "select_n": [
        (lax.select_n, (array("bool", 3, 4), quarters(3, 4), quarters(3, 4, seed=1))),
        (lax.select_n, (array("bool"), array("int32", 3, 4), array("int32", 3, 4, seed=1))),
        (lambda p, x: jnp.where(p, x, 0.0), (array("bool", 4, 1), quarters(4, 3))),
    ],
    "shift_right_arithmetic": [
        (lambda x: lax.shift_right_arithmetic(x, np.int32(2)), (array("int32", 7),)),
        (lambda x: lax.shift_right_arithmetic(x, np.int32(0)), (array("int32"),)),
    ],
    "slice": [
        (lambda x: lax.slice(x, (1, 0), (3, 4)), (quarters(4, 5),)),
        (lambda x: lax.slice(x, (0, 1), (4, 8), (3, 2)), (array("int32", 4, 9),)),
        (lambda x: x[:, ::2, 1:, :1], (GRID,)),
    ],
    "squeeze": [
        (lambda x: lax.squeeze(x, (1, 3)), (quarters(2, 1, 3, 1),)),
        (lambda x: lax.squeeze(x, (0,)), (array("bool", 1),)),
    ],
    "transpose": [
        (lambda x: lax.transpose(x, (1, 0)), (array("int32", 2, 3),)),
        (lambda x: lax.transpose(x, (2, 0, 1)), (quarters(2, 3, 4),)),
        (lambda x: lax.transpose(x, (3, 1, 0, 2)) + 1, (GRID,)),
        (lambda x: lax.transpose(jnp.broadcast_to(x, (4, 3)), (1, 0)) + quarters(3, 4), (quarters(1, 3),)),
    ],
}

EXAMPLES: dict[str, list[Example]] = {
    **element_examples(PRIMITIVES, elementwise, FLOATS),
    **OTHERS,
}
EXAMPLES["and"] += [
    (lambda x: lax.bitwise_and(x, np.int32(7)), (array("int32", 7),)),
    (lambda x: lax.bitwise_and(np.int32(1), x), (array("int32", 2, 3),)),
]
"""The low bits of a whole number, below zero too."""


SIMPLIFIED = {"and": 2}
"""Examples whose primitive is gone before the rule: a conjunction with what is true everywhere is the other operand."""


@pytest.mark.parametrize("name", PRIMITIVES)
def test_rule_agrees_with_jax(name: str, lower: Callable[..., Any]) -> None:
    examples = EXAMPLES.get(name)
    assert examples, f"expected examples of the rule for {name} in EXAMPLES, found none"

    def all_examples(*inputs: Any) -> tuple[Any, ...]:
        given = iter(inputs)
        return tuple(function(*(next(given) for _ in arrays)) for function, arrays in examples)

    found = lower(all_examples, *(x for _, arrays in examples for x in arrays)).agrees()
    used = [equation.primitive.name for equation in found.program.jaxpr.eqns].count(name)
    wanted = len(examples) - SIMPLIFIED.get(name, 0)
    assert used >= wanted, f"expected {name} in {wanted} of {len(examples)} examples, found it {used} times"


def test_every_example_belongs_to_a_rule() -> None:
    assert sorted(EXAMPLES) == sorted(PRIMITIVES)
