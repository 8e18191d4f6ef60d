"""Axis orders: values stay channels first, constants follow them, and a transpose is made once where it must be."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

from lwmport.types import Array

RANDOM = np.random.default_rng(23)
X = RANDOM.standard_normal((2, 4, 5, 3)).astype(np.float32)
KERNEL = RANDOM.standard_normal((1, 1, 3, 6)).astype(np.float32)
SQUARE = RANDOM.standard_normal((1, 1, 6, 6)).astype(np.float32)
WIDE = RANDOM.standard_normal((2, 4, 5, 6)).astype(np.float32)


def conv(x: Any, kernel: Array = KERNEL) -> Any:
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


TWO_TRANSPOSES: dict[str, Callable[..., Any]] = {
    "elementwise": lambda x: jnp.tanh(conv(x)) * 2 + conv(x),
    "a bias of channels": lambda x: jnp.sin(conv(x)) + WIDE[0, 0, 0],
    "a table of rows and columns": lambda x: jnp.sin(conv(x)) + WIDE[:1, :, :, :1],
    "a whole constant": lambda x: WIDE - jnp.sin(conv(x)),
    "a column": lambda x: jnp.sin(conv(x)) * WIDE[:1, :, :1, :1],
    "an item of the batch": lambda x: jnp.sin(conv(x)) * WIDE[:, :1, :1, :1],
    "concatenated": lambda x: jnp.concatenate([conv(x), jnp.tanh(conv(x))], axis=3),
    "concatenated with a constant": lambda x: jnp.concatenate([conv(x), jnp.asarray(WIDE)], axis=1),
    "sliced": lambda x: jnp.sin(conv(x)[:, 1:, ::2, 2:5]),
    "squeezed and spread again": lambda x: conv(x) * conv(x)[:, :, :, 3:4],
    "convolved again": lambda x: conv(conv(x), SQUARE),
    "transposed twice": lambda x: conv(jnp.sin(conv(x).transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1), SQUARE),
    "chosen": lambda x: jnp.where(conv(x) > 0, conv(x), lax.integer_pow(conv(x), 3)),
    "padded": lambda x: conv(jnp.pad(conv(x), ((0, 0), (1, 0), (0, 2), (0, 0)), constant_values=1.0), SQUARE),
}


@pytest.mark.parametrize("function", TWO_TRANSPOSES.values(), ids=TWO_TRANSPOSES)
def test_transposes_are_at_the_edges_only(function: Callable[..., Any], lower: Callable[..., Any]) -> None:
    assert lower(function, X).agrees(rtol=1e-4, atol=1e-5).operators["Transpose"] == 2


def test_a_transpose_to_channels_first_is_the_graphs_own_order(lower: Callable[..., Any]) -> None:
    found = lower(lambda x: conv(x).transpose(0, 3, 1, 2), X).agrees(atol=1e-5)
    assert found.operators == {"Conv": 1, "Transpose": 1}


def test_a_value_that_many_read_is_transposed_once(lower: Callable[..., Any]) -> None:
    def function(x: Any) -> Any:
        y = conv(x)
        return y.reshape(2, -1), y.reshape(-1, 6), y, jnp.sin(y)

    found = lower(function, X).agrees(rtol=1e-4, atol=1e-5)
    assert found.operators["Transpose"] == 3


def test_an_argument_minimum_over_channels_needs_no_transpose(lower: Callable[..., Any]) -> None:
    found = lower(lambda x: jnp.argmin(conv(x), axis=3), X).agrees()
    assert found.operators == {"ArgMin": 1, "Cast": 1, "Conv": 1, "Transpose": 1}


@pytest.mark.parametrize("axes", [(1, 2), (3,), (0, 3), (0, 1, 2, 3)])
def test_reductions_follow_the_order_of_their_operand(axes: tuple[int, ...], lower: Callable[..., Any]) -> None:
    found = lower(lambda x: conv(x).sum(axis=axes), X).agrees(rtol=1e-4, atol=1e-4)
    assert found.operators == {"Conv": 1, "ReduceSum": 1, "Transpose": 1}


def test_a_residual_joins_in_the_order_that_most_have(lower: Callable[..., Any]) -> None:
    def function(x: Any) -> Any:
        y = conv(x, np.ascontiguousarray(KERNEL[..., :3]))
        return y + x

    found = lower(function, X).agrees(atol=1e-5)
    assert found.operators == {"Add": 1, "Conv": 1, "Transpose": 2}


def test_a_bias_is_part_of_its_convolution_only_if_nobody_else_reads(lower: Callable[..., Any]) -> None:
    bias = WIDE[0, 0, 0]

    def shared(x: Any) -> Any:
        y = conv(x)
        return y + bias, y

    assert lower(lambda x: conv(x) + bias, X).agrees(atol=1e-5).operators == {"Conv": 1, "Transpose": 2}
    assert lower(shared, X).agrees(atol=1e-5).operators == {"Add": 1, "Conv": 1, "Transpose": 3}


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 1, 5, 1), (2, 1, 1, 6), (1, 4, 5, 6)])
def test_what_is_no_bias_stays_an_addition(shape: tuple[int, ...], lower: Callable[..., Any]) -> None:
    constant = WIDE[tuple(slice(size) for size in shape)]
    assert lower(lambda x: conv(x) + constant, X).agrees(atol=1e-5).operators["Add"] == 1


def twice(x: Any) -> Any:
    y = jnp.sin(x)
    return y, y, x


def test_every_output_has_a_value_of_its_own(lower: Callable[..., Any]) -> None:
    assert lower(twice, X).agrees().operators == {"Identity": 2, "Sin": 1}


def test_constants_and_weights_may_be_outputs(lower: Callable[..., Any]) -> None:
    weights = {"kernel": WIDE}
    found = lower(lambda x, kernel: (x + 1, kernel, jnp.arange(3.0), kernel.T * 2), X, weights=weights).agrees()
    assert found.operators == {"Identity": 3, "Add": 1}


def test_modules_name_the_nodes_and_weights_their_constants(lower: Callable[..., Any]) -> None:
    class Block(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            return jnp.einsum("bhwc,bhwd->bcd", x, nn.Conv(6, (1, 1), name="project")(x))

    params = {"project/kernel": KERNEL, "project/bias": WIDE[0, 0, 0]}

    def function(x: Any, **weights: Any) -> Any:
        tree = {"project": {name.removeprefix("project/"): value for name, value in weights.items()}}
        return Block().apply({"params": tree}, x)

    found = lower(function, X, weights=params).agrees(rtol=1e-4, atol=1e-4)
    assert [node.name for node in found.nodes("Conv")] == ["Block/project/Conv"]
    assert [node.name for node in found.nodes("MatMul")] == ["Block/MatMul"]
    assert set(params) <= {tensor.name for tensor in found.model.graph.initializer}
