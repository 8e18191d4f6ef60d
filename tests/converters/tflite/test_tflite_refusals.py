"""What TFLite cannot hold is refused in one line that names it, and nothing is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from lwmport.errors import LoweringError
from lwmport.models.composites import basic as composites
from lwmport.types import Array

MATRIX = np.ones((2, 4), np.float32)
GRID = np.ones((2, 4, 4, 3), np.float32)
KERNEL = np.ones((3, 3, 3, 3), np.float32)
PLACES = np.asarray([1, 0], np.int32)
NUMBERS = ("NHWC", "HWIO", "NHWC")


def conv(x: Any, kernel: Any, padding: Any = "SAME", **options: Any) -> Any:
    return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=NUMBERS, **options)


def windows(x: Any, start: Any = 0.0, function: Any = lax.add, padding: str = "VALID") -> Any:
    return lax.reduce_window(x, np.float32(start), function, (1, 2, 2, 1), (1, 2, 2, 1), padding)


Case = tuple[Callable[..., Any], tuple[Array, ...], str]

CASES: dict[str, Case] = {
    "unknown primitive": (lax.lgamma, (MATRIX,), "TFLite can express, found lgamma in small; add a rule"),
    "a loop": (lambda x: lax.fori_loop(0, 3, lambda _, y: y * 2, x), (MATRIX,), "found (scan|while)"),
    "a branch": (lambda x: lax.cond(x.sum() > 0, jnp.sin, jnp.cos, x), (MATRIX,), "found cond"),
    "random numbers": (lambda x: x + jax.random.bits(jax.random.key(0)), (MATRIX,), "found random_seed in small"),
    "another half precision": (
        lambda x: x + 1,
        (MATRIX.astype(jnp.bfloat16),),
        "found bfloat16 for x0 of small: LiteRT has no",
    ),
    "complex numbers": (lambda x: lax.complex(x, x).real, (MATRIX,), "found complex64|found complex"),
    "seven axes": (lambda x: x + 1, (np.ones((1,) * 7, np.float32),), "expected at most 6 axes, found"),
    "six axes to cut": (lambda x: x[1:], (np.ones((2,) * 6, np.float32),), "expected SLICE on at most 5 axes, found 6"),
    "integers to multiply": (lambda x: x @ x.T, (MATRIX.astype(np.int32),), "BATCH_MATMUL on float32, found int32"),
    "bits": (lax.bitwise_and, (PLACES, PLACES), "expected booleans for 'and', found bits of int32"),
    "other bits": (lambda x: lax.bitwise_and(x, np.int32(5)), (PLACES,), "expected booleans for 'and', found bits"),
    "a shift by a value": (lax.shift_right_arithmetic, (PLACES, PLACES), "expected a shift by a constant"),
    "halves away from zero": (lax.round, (MATRIX,), "found round half away from zero"),
    "a convolution of lines": (
        lambda x: lax.conv_general_dilated(x, KERNEL[0], (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC")),
        (GRID[0],),
        "found one over 1 axes: CONV_2D is 2-D",
    ),
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
        "found negative padding",
    ),
    "padding inside": (
        lambda x: lax.pad(x, np.float32(0), ((0, 0, 1), (0, 0, 0))),
        (MATRIX,),
        "found interior or negative padding",
    ),
    "a gather of columns": (lambda x, i: x[:, i], (MATRIX, PLACES), "expected a gather of whole rows"),
    "a gather that fills": (lambda x, i: jnp.take(x, i, axis=0), (MATRIX, PLACES), "in bounds, found .*FILL"),
    "windows with padding": (lambda x: windows(x, padding="SAME"), (GRID[:, :3],), "windows over height and width"),
    "windows of products": (
        lambda x: lax.reduce_window(x, jnp.ones(()), lax.mul, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"),
        (GRID,),
        "expected windows to be summed from zero, found mul",
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


DYNAMIC: dict[str, tuple[Callable[..., Any], Array, str]] = {
    "a constant of dynamic size": (
        lambda x: jnp.concatenate([x, jnp.ones((x.shape[0], 1))], axis=1)[:, 1:],
        MATRIX,
        "expected static sizes to broadcast to, found",
    ),
    "an end that moves": (
        lambda x: lax.slice(x, (0, 0), (x.shape[0] - 1, 4)),
        MATRIX,
        "expected a slice to take an axis of size batch whole, found",
    ),
    "a size that is no multiple": (
        lambda x: jnp.concatenate([x, np.ones((1, 4), np.float32)]),
        MATRIX,
        "expected sizes that are multiples of the batch",
    ),
    "two dynamic sizes": (lambda x: (x @ x.T)[:, None].sum(2), MATRIX, "expected at most one dynamic size"),
    "repeated pixels in pieces": (
        lambda x: composites.upsample_nearest(x, factor=2)[:, :4, :4],
        GRID,
        "BROADCAST_TO reads its shape from a constant",
    ),
}


@pytest.mark.parametrize(("function", "x", "message"), DYNAMIC.values(), ids=DYNAMIC)
def test_what_needs_a_fixed_batch_says_so(
    function: Callable[..., Any], x: Array, message: str, lower: Callable[..., Any]
) -> None:
    def summed(x: Any) -> Any:
        return function(x).sum(axis=0) * x

    with pytest.raises(LoweringError, match=message) as caught:
        lower(summed, x, dynamic=True, composites={})
    assert str(caught.value).endswith("fix the batch")
    lower(summed, x, composites={}).agrees()


def test_a_print_is_left_out(lower: Callable[..., Any]) -> None:
    def talking(x: Any) -> Any:
        jax.debug.print("a value {}", x[0, 0])
        return x + 1

    assert lower(talking, MATRIX).agrees().operators["ADD"] == 1


def test_an_unknown_composite_is_decomposed(lower: Callable[..., Any]) -> None:
    found = lower(lax.composite(lambda x: jnp.tanh(x) * 2, name="someone.elses"), MATRIX).agrees()
    assert found.operators == {"MUL": 1, "TANH": 1}
