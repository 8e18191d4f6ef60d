"""What ONNX or a dialect cannot express is refused in one line that names it, and nothing is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

from lwmport.errors import LoweringError
from lwmport.types import Array

MATRIX = np.ones((2, 4), np.float32)
GRID = np.ones((2, 4, 4, 3), np.float32)
KERNEL = np.ones((3, 3, 3, 3), np.float32)
PLACES = np.asarray([1, 0], np.int32)
HALVES = GRID.astype(np.float16)
NUMBERS = ("NHWC", "HWIO", "NHWC")


def conv(x: Any, kernel: Any, padding: Any = "SAME", **options: Any) -> Any:
    return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=NUMBERS, **options)


def windows(x: Any, window: tuple[int, ...], strides: tuple[int, ...], padding: Any = "VALID", **options: Any) -> Any:
    return lax.reduce_window(x, np.float32(0), lax.add, window, strides, padding, **options)


class Summed(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        return lax.cumprod(x, axis=1)


class Outer(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        return Summed(name="inner")(x)


Case = tuple[Callable[..., Any], tuple[Array, ...], str]

CASES: dict[str, Case] = {
    "unknown primitive": (lambda x: lax.cumprod(x, 1), (MATRIX,), "opset 21 can express, found cumprod in small;"),
    "its place": (lambda x: Outer().apply({}, x), (MATRIX,), "found cumprod in small/Outer/inner;"),
    "a loop of unknown length": (
        lambda x: lax.while_loop(lambda y: y.sum() < 99, lambda y: y * 2, x),
        (MATRIX,),
        "found while",
    ),
    "a loop that only counts": (
        lambda x: lax.fori_loop(0, 3, lambda _, y: y * 2, x),
        (MATRIX,),
        "expected a loop over the rows of an array",
    ),
    "random numbers": (lambda x: x + jax.random.bits(jax.random.key(0)), (MATRIX,), "found random_seed in small"),
    "a transposed convolution": (
        lambda x: conv(x, KERNEL, ((1, 1), (1, 1)), lhs_dilation=(2, 2)),
        (GRID,),
        "expected a plain convolution",
    ),
    "a batch-grouped convolution": (
        lambda x: conv(x, KERNEL[..., :2], batch_group_count=2),
        (GRID,),
        "expected a plain convolution",
    ),
    "negative padding of a convolution": (
        lambda x: conv(x, KERNEL, ((-1, 0), (0, 0))),
        (GRID,),
        "expected one dtype and no negative padding",
    ),
    "a convolution into another dtype": (
        lambda x: conv(x, KERNEL.astype(np.float16), preferred_element_type=np.float32),
        (HALVES,),
        r"expected one dtype .* found \['float16', 'float32'\]",
    ),
    "padding inside": (
        lambda x: lax.pad(x, np.float32(0), ((0, 0, 1), (0, 0, 0))),
        (MATRIX,),
        "found interior or negative padding",
    ),
    "negative padding": (
        lambda x: lax.pad(x, np.float32(0), ((0, 0, 0), (-1, 2, 0))),
        (MATRIX,),
        "found interior or negative padding",
    ),
    "a gather of columns": (lambda x, i: x[:, i], (MATRIX, PLACES), "expected a gather of whole rows"),
    "a gather that fills": (lambda x, i: jnp.take(x, i, axis=0), (MATRIX, PLACES), "in bounds, found .*FILL"),
    "a gather that clips": (lambda x, i: x.at[i].get(mode="clip"), (MATRIX, PLACES), "in bounds, found .*CLIP"),
    "windows with padding": (
        lambda x: windows(x, (1, 2, 2, 1), (1, 1, 1, 1), "SAME"),
        (GRID,),
        "expected windows over the spatial axes",
    ),
    "windows with holes": (
        lambda x: windows(x, (1, 2, 2, 1), (1, 1, 1, 1), window_dilation=(1, 2, 2, 1)),
        (GRID,),
        "expected windows over the spatial axes",
    ),
    "windows over channels": (
        lambda x: windows(x, (1, 2, 2, 3), (1, 2, 2, 1)),
        (GRID,),
        "expected windows over the spatial axes",
    ),
    "windows that skip channels": (
        lambda x: windows(x, (1, 2, 2, 1), (1, 2, 2, 2)),
        (GRID,),
        "expected windows over the spatial axes",
    ),
    "a choice of three": (
        lambda i, x: lax.select_n(i, x, x * 2, x * 3),
        (np.ones((2, 4), np.int32), MATRIX),
        "expected a choice between two by truth values, found 3 by int32",
    ),
}


@pytest.mark.parametrize(("function", "inputs", "message"), CASES.values(), ids=CASES)
def test_refused_in_one_line(
    function: Callable[..., Any], inputs: tuple[Array, ...], message: str, lower: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(LoweringError, match=message) as caught:
        lower(function, *inputs)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def padded(x: Any) -> Any:
    return jnp.concatenate([x, jnp.ones((x.shape[0], 1))], axis=1)[:, 1:]


DYNAMIC: dict[str, Callable[..., Any]] = {
    "a constant of dynamic size": padded,
    "an end that moves": lambda x: lax.slice(x, (0, 0), (x.shape[0] - 1, 4)),
    "two dynamic sizes": lambda x: (x @ x.T)[:, None].sum(2),
    "a number that is a size": lambda x: x * x.shape[0],
    "a size of sizes": lambda x: jnp.pad(x, ((0, 3 * x.shape[0] // 2 + 1), (0, 0))).reshape(-1, 2)[1:],
}


@pytest.mark.parametrize("opset", [13, 24])
@pytest.mark.parametrize("function", DYNAMIC.values(), ids=DYNAMIC)
def test_sizes_are_computed_when_the_model_runs(
    function: Callable[..., Any], opset: int, lower: Callable[..., Any]
) -> None:
    def summed(x: Any) -> Any:
        return function(x).sum(axis=0).max() * x

    lower(summed, np.arange(12, dtype=np.float32).reshape(3, 4), dynamic=True, opset=opset).agrees()


@pytest.mark.parametrize("operation", [lax.bitwise_and, lax.bitwise_or])
def test_bits_need_opset_18(operation: Callable[..., Any], lower: Callable[..., Any]) -> None:
    x, y = np.asarray([6, -1, 0], np.int32), np.asarray([3, 8, 5], np.int32)
    with pytest.raises(LoweringError, match=r"expected opset 18 for Bitwise(And|Or) on int32, found 17"):
        lower(operation, x, y, opset=17)
    (name,) = lower(operation, x, y, opset=18).agrees().operators
    assert name.startswith("Bitwise")


def test_a_print_is_left_out(lower: Callable[..., Any]) -> None:
    def talking(x: Any) -> Any:
        jax.debug.print("a value {}", x[0, 0])
        return x + 1

    assert lower(talking, MATRIX).agrees().operators["Add"] == 1


def test_an_unknown_composite_is_decomposed(lower: Callable[..., Any]) -> None:
    found = lower(lax.composite(lambda x: jnp.tanh(x) * 2, name="someone.elses"), MATRIX).agrees()
    assert found.operators == {"Mul": 1, "Tanh": 1}
