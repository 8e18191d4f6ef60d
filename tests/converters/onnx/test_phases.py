"""Doubling and convolving as four small convolutions: the same numbers as Resize and Conv, and only where it fits."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lwmport.converters.onnx.phases import fold_taps
from lwmport.models.composites import basic as composites
from lwmport.types import Array

RANDOM = np.random.default_rng(5)
KERNEL = {"kernel": RANDOM.standard_normal((3, 3, 4, 6)).astype(np.float32)}
BIAS = {"bias": RANDOM.standard_normal(6).astype(np.float32)}


def pictures(height: int, width: int) -> Array:
    return RANDOM.standard_normal((2, height, width, 4)).astype(np.float32)


def convolve(x: Any, kernel: Any, strides: tuple[int, int] = (1, 1), padding: Any = "SAME", **options: Any) -> Any:
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=numbers, **options)


def double(x: Any) -> Any:
    return composites.upsample_nearest(x, factor=2)


def doubled_and_convolved(x: Any, kernel: Any, bias: Any = None) -> Any:
    y = convolve(double(x), kernel)
    return y if bias is None else y + bias[None, None, None]


@pytest.mark.parametrize("size", [(4, 6), (3, 5), (1, 1), (1, 7), (2, 1)], ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("bias", [{}, BIAS], ids=["without bias", "with bias"])
def test_phases_give_the_numbers_of_resize_and_conv(
    size: tuple[int, int], bias: dict[str, Array], lower: Callable[..., Any]
) -> None:
    x = pictures(*size)
    found = lower(doubled_and_convolved, x, weights={**KERNEL, **bias}, dialect="ort").agrees(atol=1e-5)
    moved = {"Transpose": 1, "Reshape": 1} if size == (1, 1) else {"Transpose": 2}
    assert found.operators == {"Conv": 4, **moved, "Concat": 1, "DepthToSpace": 1}
    assert {len(node.input) for node in found.nodes("Conv")} == {3 if bias else 2}
    plain = lower(doubled_and_convolved, x, weights={**KERNEL, **bias}, reference=found.reference).agrees(atol=1e-5)
    assert plain.operators == {**moved, "Conv": 1, "Resize": 1}


def test_phases_of_a_dynamic_batch(lower: Callable[..., Any]) -> None:
    found = lower(doubled_and_convolved, pictures(3, 4), weights=KERNEL, dialect="ort", dynamic=True).agrees(atol=1e-5)
    assert found.operators["DepthToSpace"] == 1


def test_two_doublings_are_two_sets_of_phases(lower: Callable[..., Any]) -> None:
    square = {"kernel": RANDOM.standard_normal((3, 3, 4, 4)).astype(np.float32)}

    def function(x: Any, kernel: Any) -> Any:
        return convolve(double(jnp.tanh(convolve(double(x), kernel))), kernel)

    found = lower(function, pictures(3, 4), weights=square, dialect="ort").agrees(rtol=1e-4, atol=1e-4)
    assert (found.operators["Conv"], found.operators["Transpose"]) == (8, 2)


def larger(x: Any, kernel: Any) -> Any:
    return convolve(double(x), jnp.pad(kernel, ((1, 1), (1, 1), (0, 0), (0, 0))))


def two_readers(x: Any, kernel: Any) -> Any:
    y = double(x)
    return convolve(y, kernel) + y[..., :1]


def two_convolutions(x: Any, kernel: Any) -> Any:
    y = double(x)
    return convolve(y, kernel) + convolve(y, kernel * 2)


def returned(x: Any, kernel: Any) -> Any:
    y = double(x)
    return convolve(y, kernel), y


def something_between(x: Any, kernel: Any) -> Any:
    return convolve(jnp.tanh(double(x)), kernel)


def three_times(x: Any, kernel: Any) -> Any:
    return convolve(composites.upsample_nearest(x, factor=3), kernel)


def separate(x: Any, kernel: Any) -> Any:
    return convolve(double(x), kernel[:, :, :1, :4], feature_group_count=4)


def transposed(x: Any, kernel: Any) -> Any:
    numbers = ("NWHC", "HWIO", "NWHC")
    return jax.lax.conv_general_dilated(double(x), kernel, (1, 1), "SAME", dimension_numbers=numbers)


ELSEWHERE: dict[str, Callable[..., Any]] = {
    "5x5": larger,
    "1x1": lambda x, kernel: convolve(double(x), kernel[:1, :1]),
    "3x1": lambda x, kernel: convolve(double(x), kernel[:, :1]),
    "stride 2": lambda x, kernel: convolve(double(x), kernel, (2, 2)),
    "stride 2 along one axis": lambda x, kernel: convolve(double(x), kernel, (1, 2)),
    "dilated": lambda x, kernel: convolve(double(x), kernel, rhs_dilation=(2, 2)),
    "unpadded": lambda x, kernel: convolve(double(x), kernel, padding="VALID"),
    "padded on one side": lambda x, kernel: convolve(double(x), kernel, padding=((0, 2), (1, 1))),
    "groups": separate,
    "another layout": transposed,
    "two readers": two_readers,
    "two convolutions": two_convolutions,
    "returned": returned,
    "something between": something_between,
    "three times": three_times,
    "padded before": lambda x, kernel: convolve(jnp.pad(double(x), ((0, 0), (1, 1), (1, 1), (0, 0))), kernel),
}


@pytest.mark.parametrize("function", ELSEWHERE.values(), ids=ELSEWHERE)
def test_anything_else_is_resized(function: Callable[..., Any], lower: Callable[..., Any]) -> None:
    found = lower(function, pictures(3, 4), weights=KERNEL, dialect="ort").agrees(rtol=1e-4, atol=1e-5)
    assert found.operators["Resize"] == 1
    assert "DepthToSpace" not in found.operators


def test_a_kernel_that_is_an_input_is_not_folded(lower: Callable[..., Any]) -> None:
    found = lower(doubled_and_convolved, pictures(3, 4), KERNEL["kernel"], dialect="ort").agrees(atol=1e-5)
    assert found.operators["Resize"] == 1


@pytest.mark.parametrize("axis", [0, 1])
def test_folded_taps_add_up(axis: int) -> None:
    kernel = np.arange(18.0).reshape(3, 3, 2)
    first, middle, last = (np.take(kernel, [i], axis=axis) for i in range(3))
    np.testing.assert_array_equal(fold_taps(kernel, axis, 0), np.concatenate([first, middle + last], axis=axis))
    np.testing.assert_array_equal(fold_taps(kernel, axis, 1), np.concatenate([first + middle, last], axis=axis))
