"""Every primitive's rule against JAX at the oldest and newest opset: flat, scalar, broadcast, channels first.

Inputs and kernels are small multiples of 1/4, so that a convolution in front is exact and ties are frequent.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from primitive_cases import NHWC, Example, array, convolved, element_examples, positive, quarters

from lwmport.converters.onnx.convert import PRIMITIVES
from lwmport.models.layers import rows

FLOATS = ("float32", "float16")
NUMBERS = (*FLOATS, "int32")
ANY = (*NUMBERS, "bool")


KERNEL = np.asarray([[0, 1, 0], [0, 0, 1], [1, 0, -1]], np.float32)[None, None]


def channels_first(x: Any, dtype: str = "float32") -> Any:
    """Return a 1x1 convolution of x [b, h, w, 3]: a value that the graph keeps channels first."""
    y = convolved(x, KERNEL)
    if dtype == "bool":
        return y > 0
    return (4 * y if dtype == "int32" else y).astype(dtype)


def elementwise(function: Callable[..., Any], arity: int, dtypes: tuple[str, ...]) -> Iterator[Example]:
    """Yield examples of a function of single elements for every dtype."""

    def after_convolution(dtype: str) -> Callable[..., Any]:
        return lambda *xs: function(*(channels_first(x, dtype) for x in xs))

    for dtype in dtypes:
        yield function, tuple(array(dtype, 7, seed=i) for i in range(arity))
        yield function, tuple(array(dtype, seed=i) for i in range(arity))
        yield after_convolution(dtype), tuple(quarters(*NHWC, seed=i) for i in range(arity))
    if arity == 2:
        yield from _broadcast(function, dtypes[0])


def _broadcast(function: Callable[..., Any], dtype: str) -> Iterator[Example]:
    """Yield examples in which the second operand is smaller, constant, or in another axis order."""
    wide, small = array(dtype, 4, 3), array(dtype, 1, 3, seed=1)
    yield function, (wide, small)
    yield function, (small, wide)
    for shape in ((1, 1, 1, 3), (1, 1, 5, 1), (1, 4, 5, 1), NHWC, (2, 1, 1, 1)):
        constant = array(dtype, *shape, seed=2)
        yield lambda x, c=constant: function(channels_first(x, dtype), c), (quarters(*NHWC),)
        yield lambda x, c=constant: function(c, channels_first(x, dtype)), (quarters(*NHWC),)
        yield lambda x, y: function(channels_first(x, dtype), y), (quarters(*NHWC), constant)
    scalar, row = array(dtype, seed=3), array(dtype, 1, 3, seed=4)
    yield lambda x: function(x, row), (scalar,)
    yield lambda x: function(channels_first(x, dtype), jnp.broadcast_to(scalar, NHWC)), (quarters(*NHWC),)


GRID = quarters(*NHWC)
TABLE = quarters(9, 4)


def reductions(function: Callable[..., Any]) -> list[Example]:
    return [
        (lambda x: function(x, (0,)), (array("int32", 3, 4),)),
        (lambda x: function(x, (1, 2)), (GRID,)),
        (lambda x: function(x, (0, 1, 2, 3)), (GRID,)),
        (lambda x: function(x, ()), (quarters(3, 4),)),
        (lambda x: function(channels_first(x), (3,)), (GRID,)),
        (lambda x: function(channels_first(x), (1, 2)), (GRID,)),
        (lambda x: function(channels_first(x), (0, 2)) + np.arange(12, dtype=np.float32).reshape(4, 3), (GRID,)),
    ]


def bound(primitive: Any) -> Callable[[Any, tuple[int, ...]], Any]:
    return lambda x, axes: primitive.bind(x, axes=axes, out_sharding=None)


def choices(function: Callable[..., Any]) -> list[Example]:
    return [
        (lambda x: function(x, 1, jnp.int32), (quarters(6, 9),)),
        (lambda x: function(x, 0, jnp.int32), (array("int32", 9, 2),)),
        (lambda x: function(channels_first(x), 3, jnp.int32), (GRID,)),
        (lambda x: function(channels_first(x), 1, jnp.int32), (GRID,)),
    ]


def window_sum(x: Any, window: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    return lax.reduce_window(x, np.float32(0), lax.add, window, strides, "VALID")


OTHERS: dict[str, list[Example]] = {
    "argmax": choices(lax.argmax),
    "argmin": choices(lax.argmin),
    "broadcast_in_dim": [
        (lambda x: lax.broadcast_in_dim(x, (2, 3, 4), (1,)), (quarters(3),)),
        (lambda x: lax.broadcast_in_dim(x, (2, 3), ()), (quarters(),)),
        (lambda x: lax.broadcast_in_dim(x, (5, 3), (0, 1)), (quarters(1, 3),)),
        (lambda x: lax.broadcast_in_dim(x, (3, 1, 4, 1), (0, 2)), (array("int32", 3, 4),)),
        (lambda x: lax.broadcast_in_dim(channels_first(x), (2, 4, 2, 5, 3), (0, 1, 3, 4)), (GRID,)),
    ],
    "cond": [
        (lambda x: lax.cond(x.sum() > 0, jnp.sin, jnp.cos, x), (quarters(3, 4),)),
        (lambda x: lax.cond(x.sum() > 0, lambda y: y, lambda y: y @ KERNEL[0, 0], -x), (quarters(4, 3),)),
        (lambda x, y: lax.cond(x[0] > 0, lambda: (x, y), lambda: (y, x))[0], (quarters(4), quarters(4, seed=1))),
        (lambda i, x: lax.cond(i, lambda y: channels_first(y)[:, :1], lambda y: y[:, 1:2], x), (array("bool"), GRID)),
    ],
    "cumsum": [
        (lambda x: lax.cumsum(x, 1), (array("int32", 3, 4),)),
        (lambda x: lax.cumsum(x, 0, reverse=True), (quarters(3, 4),)),
        (lambda x: lax.cumsum(channels_first(x), 3), (GRID,)),
    ],
    "concatenate": [
        (lambda x, y: lax.concatenate([x, y], 0), (array("int32", 2, 3), array("int32", 4, 3))),
        (lambda x: lax.concatenate([channels_first(x), channels_first(-x)], 3), (GRID,)),
        (lambda x: lax.concatenate([channels_first(x), x], 1), (GRID,)),
        (lambda x: lax.concatenate([x, channels_first(x)], 2), (GRID,)),
        (lambda x: lax.concatenate([jnp.ones((2, 1, 5, 3)), channels_first(x)], 1), (GRID,)),
    ],
    "conv_general_dilated": [
        (lambda x: convolved(x, quarters(3, 3, 3, 2)), (GRID,)),
        (lambda x: convolved(x, quarters(3, 3, 3, 2)) + quarters(1, 1, 1, 2), (GRID,)),
        (lambda x: quarters(1, 1, 1, 2) + convolved(x, quarters(3, 3, 3, 2)), (GRID,)),
        (lambda x: convolved(x, quarters(2, 3, 3, 4), (2, 1), "VALID"), (GRID,)),
        (lambda x: convolved(x, quarters(3, 2, 3, 4), (1, 2), ((0, 2), (3, 1))), (GRID,)),
        (lambda x: convolved(x, quarters(2, 2, 3, 2), rhs_dilation=(2, 3)), (GRID,)),
        (lambda x: convolved(x, quarters(3, 3, 1, 6), feature_group_count=3), (GRID,)),
        (lambda x: convolved(channels_first(x), quarters(1, 1, 3, 5)), (GRID,)),
        (convolved, (GRID, quarters(3, 3, 3, 2))),
        (
            lambda x, k: lax.conv_general_dilated(x, k, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC")),
            (quarters(2, 7, 3), quarters(3, 3, 2)),
        ),
        (
            lambda x, k: lax.conv_general_dilated(x, k, (1, 1, 1), "VALID"),
            (quarters(1, 2, 3, 4, 5), quarters(3, 2, 2, 2, 2)),
        ),
        (lambda x, k: lax.conv_general_dilated(x, k, (1, 1), "SAME"), (quarters(2, 3, 4, 5), quarters(2, 3, 3, 3))),
    ],
    "convert_element_type": [
        *(
            (lambda x, to=to: x.astype(to), (array(dtype, 7),))
            for dtype in (*ANY, "uint8")
            for to in ANY
            if to != dtype
        ),
        *((lambda x, to=to: channels_first(x).astype(to), (GRID,)) for to in ("int32", "bool", "float16")),
    ],
    "dot_general": [
        (lambda x, y: x @ y, (quarters(3, 4), quarters(4, 5))),
        (lambda x, y: x @ y, (quarters(4), quarters(4, 5))),
        (lambda x, y: x @ y, (quarters(3, 4), quarters(4))),
        (lambda x, y: x @ y, (quarters(4), quarters(4, seed=1))),
        (lambda x, y: x @ y, (array("int32", 3, 4), array("int32", 4, 5))),
        (lambda x: x @ quarters(4, 5), (quarters(2, 3, 4),)),
        (lambda x: quarters(5, 2) @ x, (quarters(2, 3),)),
        (lambda x, y: jnp.einsum("bqc,bkc->bqk", x, y), (quarters(2, 3, 4), quarters(2, 5, 4))),
        (lambda x, y: jnp.einsum("bhqc,bkhc->bhqk", x, y), (quarters(2, 3, 4, 5), quarters(2, 6, 3, 5))),
        (lambda x, y: jnp.einsum("bijc,bklc->bijkl", x, y), (quarters(2, 3, 4, 5), quarters(2, 2, 3, 5))),
        (lambda x, y: jnp.einsum("bc,bc->b", x, y), (quarters(3, 4), quarters(3, 4, seed=1))),
        (lambda x, y: jnp.einsum("ij,ijk->k", x, y), (quarters(3, 4), quarters(3, 4, 5))),
        (lambda x, y: jnp.einsum("kij,ij->k", x, y), (quarters(5, 3, 4), quarters(3, 4))),
        (lambda x, y: jnp.einsum("ij,kl->ijkl", x, y), (quarters(2, 3), quarters(4, 5))),
        (lambda x: jnp.einsum("bhwc,cd->bhwd", channels_first(x), quarters(3, 2)), (GRID,)),
        (lambda x: jnp.einsum("bhwc,bhwd->bcd", channels_first(x), x), (GRID,)),
        (
            lambda x, y: lax.dot(x, y, preferred_element_type=np.float32),
            (array("float16", 3, 4), array("float16", 4, 5)),
        ),
    ],
    "gather": [
        (lambda i: rows(jnp.asarray(TABLE), i), (np.asarray([0, 8, 3], np.int32),)),
        (lambda i: rows(jnp.asarray(TABLE), i), (np.asarray([[0, 8, 3], [1, 1, 2]], np.int32),)),
        (lambda i: rows(jnp.asarray(TABLE), i), (np.asarray(5, np.int32),)),
        (rows, (TABLE, np.asarray([[[0, 8], [3, 3]]], np.int32))),
        (
            lambda x: rows(jnp.asarray(TABLE), jnp.argmax(channels_first(x), 3).astype(np.int32)),
            (GRID,),
        ),
        (lambda t: rows(jnp.expand_dims(t, 1), jnp.asarray([2, 0])), (quarters(4),)),
        (
            lambda t, i: lax.gather(
                t,
                i,
                lax.GatherDimensionNumbers(offset_dims=(2, 3), collapsed_slice_dims=(0,), start_index_map=(0,)),
                (1, 4, 2),
                mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS,
            ),
            (quarters(9, 4, 2), np.asarray([[[0], [8]], [[3], [1]]], np.int32)),
        ),
    ],
    "dim_as_value": [
        (lambda x: x * x.shape[0], (quarters(3, 4),)),
        (lambda x: x + (2 * x.shape[0] + 1) // 3, (array("int32", 3, 4),)),
    ],
    "iota": [
        (lambda x: x + lax.broadcasted_iota(x.dtype, x.shape, 0), (quarters(3, 4),)),
        (lambda x: x * lax.broadcasted_iota(x.dtype, x.shape, 1), (array("int32", 3, 4),)),
        (lambda x: lax.broadcasted_iota(jnp.int32, (x.shape[0], 2), 0), (quarters(3, 4),)),
    ],
    "integer_pow": [
        example
        for power, dtypes in ((2, NUMBERS), (3, ("float32", "int32")), (4, FLOATS))
        for example in elementwise(lambda x, y=power: lax.integer_pow(x, y), 1, dtypes)
    ]
    + [(positive(lambda x: lax.integer_pow(x, -2)), (quarters(9),))],
    "pad": [
        (lambda x: lax.pad(x, np.float32(0), ((1, 2, 0), (0, 3, 0))), (quarters(2, 3),)),
        (lambda x: lax.pad(x, np.float32(-1.5), ((1, 2, 0), (0, 3, 0))), (quarters(2, 3),)),
        (lambda x, fill: lax.pad(x, fill, ((1, 1, 0),)), (array("int32", 3), array("int32"))),
        (lambda x: lax.pad(channels_first(x), np.float32(2), ((0, 1, 0), (2, 0, 0), (0, 3, 0), (1, 2, 0))), (GRID,)),
        (
            lambda x: convolved(jnp.pad(x, ((0, 0), (0, 1), (2, 1), (0, 0))), quarters(3, 3, 3, 2), padding="VALID"),
            (GRID,),
        ),
        (
            lambda x: convolved(jnp.pad(x, ((0, 0), (0, 1), (2, 1), (0, 0))), quarters(3, 3, 3, 2), padding="SAME"),
            (GRID,),
        ),
        (
            lambda x: convolved(
                jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=1.0), quarters(3, 3, 3, 2), padding="VALID"
            ),
            (GRID,),
        ),
        (lambda x: convolved(jnp.pad(x, ((0, 1), (0, 1), (0, 0), (1, 0))), quarters(3, 3, 4, 2)), (GRID,)),
        (lambda x, k: convolved(x, jnp.pad(k, ((0, 0), (1, 1), (0, 0), (0, 0)))), (GRID, quarters(1, 1, 3, 2))),
    ],
    "reduce_max": reductions(bound(lax.reduce_max_p)),
    "reduce_min": reductions(bound(lax.reduce_min_p)),
    "reduce_prod": reductions(bound(lax.reduce_prod_p)),
    "reduce_sum": reductions(bound(lax.reduce_sum_p)),
    "reduce_window_sum": [
        (lambda x: window_sum(x, (1, 2, 2, 1), (1, 2, 2, 1)), (GRID,)),
        (lambda x: window_sum(x, (1, 3, 2, 1), (1, 1, 2, 1)), (GRID,)),
        (lambda x: window_sum(channels_first(x), (1, 2, 3, 1), (1, 2, 1, 1)), (GRID,)),
        (lambda x: window_sum(x, (1, 2, 1), (1, 2, 1)), (quarters(2, 6, 3),)),
    ],
    "reshape": [
        (lambda x: lax.reshape(x, (6, 4)), (quarters(2, 3, 4),)),
        (lambda x: lax.reshape(x, ()), (quarters(1, 1),)),
        (lambda x: lax.reshape(x, (1, 1)), (array("bool"),)),
        (lambda x: lax.reshape(channels_first(x), (2, 20, 3)), (GRID,)),
        (lambda x: channels_first(lax.reshape(channels_first(x), (2, 5, 4, 3))), (GRID,)),
    ],
    "scan": [
        (lambda x: lax.scan(lambda held, row: (held + row, held * row), x[0], x)[1], (quarters(5, 3),)),
        (lambda x: lax.scan(lambda held, row: (held + row, row), x[0], x, reverse=True)[0], (quarters(5, 3),)),
        (lambda x, y: lax.scan(lambda held, row: (held @ y + row, held), x[0], x)[1], (quarters(5, 3), quarters(3, 3))),
        (
            lambda x: lax.scan(lambda held, row: (held, (channels_first(row), held)), 1.0, jnp.stack([x, x]))[1][0][0],
            (GRID,),
        ),
        (lambda x: lax.scan(lambda held, row: (held + channels_first(row), held), x, jnp.stack([x, -x]))[0], (GRID,)),
    ],
    "select_n": [
        (lax.select_n, (array("bool", 3, 4), quarters(3, 4), quarters(3, 4, seed=1))),
        (lax.select_n, (array("bool"), array("int32", 3, 4), array("int32", 3, 4, seed=1))),
        (lambda x: lax.select_n(channels_first(x, "bool"), channels_first(x), x), (GRID,)),
        (lambda p, x: lax.select_n(p, channels_first(x), x), (array("bool", seed=1), GRID)),
        (lambda x: lax.select_n(channels_first(x, "bool"), jnp.zeros(NHWC), channels_first(x)), (GRID,)),
    ],
    "shift_right_arithmetic": [
        (lambda x: lax.shift_right_arithmetic(x, np.int32(2)), (array("int32", 5, 4),)),
        (lambda x: lax.shift_right_arithmetic(x, np.int32(3)) + (x & 7), (array("int32", 9),)),
    ],
    "slice": [
        (lambda x: lax.slice(x, (1, 0), (3, 4)), (quarters(4, 5),)),
        (lambda x: lax.slice(x, (0, 1), (4, 8), (3, 2)), (array("int32", 4, 9),)),
        (lambda x: lax.slice(channels_first(x), (1, 0, 1, 1), (2, 4, 5, 3), (1, 3, 2, 1)), (GRID,)),
        (lambda x: channels_first(x)[:, ::2, 1:, :1], (GRID,)),
        (lambda x: lax.slice(x, (0, 0), (4, 5)), (quarters(4, 5),)),
    ],
    "squeeze": [
        (lambda x: lax.squeeze(x, (1, 3)), (quarters(2, 1, 3, 1),)),
        (lambda x: lax.squeeze(x, (0,)), (array("bool", 1),)),
        (lambda x: lax.squeeze(lax.slice(channels_first(x), (0, 1, 0, 0), (2, 2, 5, 3)), (1,)), (GRID,)),
        (lambda x: lax.squeeze(lax.slice(channels_first(x), (0, 0, 0, 2), (2, 4, 5, 3)), (3,)), (GRID,)),
    ],
    "transpose": [
        (lambda x: lax.transpose(x, (1, 0)), (array("int32", 2, 3),)),
        (lambda x: lax.transpose(x, (2, 0, 1)), (quarters(2, 3, 4),)),
        (lambda x: lax.transpose(channels_first(x), (0, 3, 1, 2)), (GRID,)),
        (lambda x: lax.transpose(channels_first(x), (3, 1, 0, 2)), (GRID,)),
        (lambda x: lax.transpose(lax.transpose(channels_first(x), (2, 0, 3, 1)), (1, 2, 0, 3)) + 1, (GRID,)),
    ],
}

EXAMPLES: dict[str, list[Example]] = {
    **element_examples(PRIMITIVES, elementwise, FLOATS),
    **OTHERS,
}


DYNAMIC = {"dim_as_value", "iota"}
"""Rules that only a program of dynamic size needs: in others JAX computes what they give."""


SPARED = {"and": 2}
"""Rule -> examples that need none: what is true everywhere decides nothing."""


@pytest.mark.parametrize("name", PRIMITIVES)
def test_rule_agrees_with_jax(name: str, lower: Callable[..., Any]) -> None:
    examples = EXAMPLES.get(name)
    assert examples, f"expected examples of the rule for {name} in EXAMPLES, found none"

    def all_examples(*inputs: Any) -> tuple[Any, ...]:
        given = iter(inputs)
        return tuple(function(*(next(given) for _ in arrays)) for function, arrays in examples)

    inputs = [x for _, arrays in examples for x in arrays]
    oldest = lower(all_examples, *inputs, opset=13, dynamic=name in DYNAMIC).agrees()
    used = [equation.primitive.name for equation in oldest.program.jaxpr.eqns].count(name)
    spared = SPARED.get(name, 0)
    assert used >= len(examples) - spared, f"expected {name} in each of {len(examples)} examples, found it {used} times"
    lower(all_examples, *inputs, opset=24, reference=oldest.reference, dynamic=name in DYNAMIC).agrees()


def test_a_scan_becomes_a_loop_where_the_dialect_says_so(lower: Callable[..., Any]) -> None:
    forms = {"scan": ("Loop", "Scan")}
    for function, inputs in EXAMPLES["scan"]:
        found = lower(function, *inputs, opset=13, composites=forms).agrees()
        backwards = any(e.primitive.name == "scan" and e.params["reverse"] for e in found.program.jaxpr.eqns)
        assert ("Scan" in found.operators, "Loop" in found.operators) == (backwards, not backwards)


def test_every_example_belongs_to_a_rule() -> None:
    assert sorted(EXAMPLES) == sorted(PRIMITIVES)


def test_examples_go_through_one_channels_first_value(lower: Callable[..., Any]) -> None:
    found = lower(lambda x: jax.nn.relu(channels_first(x)), GRID)
    assert found.operators == {"Transpose": 2, "Conv": 1, "Max": 1}
