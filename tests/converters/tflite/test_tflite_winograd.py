"""3x3 convolutions by minimal algorithms: their algebra, where they are taken, and that nothing else changes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lwmport.converters.dialects import DIALECTS
from lwmport.converters.tflite import winograd
from lwmport.converters.tflite.winograd import DOUBLED, F23, MIN_CHANNELS, Minimal
from lwmport.models.composites import basic as composites
from lwmport.types import Array

RANDOM = np.random.default_rng(5)
WIDE = (1, 32, 32, MIN_CHANNELS)
"""The smallest picture that is convolved by tiles."""


def normal(*shape: int) -> Array:
    """Return the same numbers for the same shape: functions are traced more than once."""
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def kernel(outputs: int = 72, inputs: int = MIN_CHANNELS, height: int = 3) -> Array:
    return normal(height, 3, inputs, outputs) / np.float32(np.sqrt(9 * inputs))


def convolved(x: Any, weights: Any, padding: Any = "SAME", **options: Any) -> Any:
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, weights, (1, 1), padding, dimension_numbers=numbers, **options)


def read(signal: Array, algorithm: Minimal, window: winograd.Window, tile: int) -> float:
    """Return what a window reads of a signal with zeros around, where TFLite's SAME puts it."""
    extent = (len(window.taps) - 1) * window.step + 1
    start = tile * algorithm.stride - max(extent - algorithm.stride, 0) // 2
    places = [start + window.step * step for step in range(len(window.taps))]
    return float(sum(tap * signal[p] for tap, p in zip(window.taps, places, strict=True) if 0 <= p < len(signal)))


@pytest.mark.parametrize(("algorithm", "repeats"), [(F23, 1), (DOUBLED, 2)], ids=["F23", "DOUBLED"])
def test_algorithm_is_a_filter_of_three_taps(algorithm: Minimal, repeats: int) -> None:
    signal, taps = RANDOM.standard_normal(12), RANDOM.standard_normal(3)
    expected = np.correlate(np.repeat(signal, repeats), taps, mode="same")
    found = []
    for tile in range(len(signal) // algorithm.stride):
        products = [
            read(signal, algorithm, window, tile) * np.dot(row, taps)
            for window, row in zip(algorithm.windows, algorithm.kernel, strict=True)
        ]
        found.extend(np.dot(row, products) for row in algorithm.results)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("algorithm", [F23, DOUBLED], ids=["F23", "DOUBLED"])
def test_product_1_can_carry_the_bias(algorithm: Minimal) -> None:
    assert [row[1] for row in algorithm.results] == [1, 1]


TAKEN: dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
    "square": (WIDE, lambda x: convolved(x, kernel())),
    "batch of two": ((2, *WIDE[1:]), lambda x: convolved(x, kernel())),
    "flat": ((1, 8, 128, 64), lambda x: convolved(x, kernel())),
    "high": ((1, 130, 10, 64), lambda x: convolved(x, kernel())),
    "with a bias": (WIDE, lambda x: convolved(x, kernel()) + normal(1, 1, 1, 72)),
    "padded before": (
        WIDE,
        lambda x: convolved(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), kernel(), "VALID") + normal(1, 1, 1, 72),
    ),
    "padded in two": (
        WIDE,
        lambda x: convolved(jnp.pad(x, ((0, 0), (1, 0), (0, 1), (0, 0))), kernel(), ((0, 1), (1, 0))),
    ),
}

LEFT: dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
    "odd width": ((1, 32, 33, 64), lambda x: convolved(x, kernel())),
    "odd height": ((1, 33, 32, 64), lambda x: convolved(x, kernel())),
    "few pixels": ((1, 30, 34, 64), lambda x: convolved(x, kernel())),
    "few inputs": ((1, 32, 32, 63), lambda x: convolved(x, kernel(inputs=63))),
    "few outputs": (WIDE, lambda x: convolved(x, kernel(outputs=63))),
    "not padded": (WIDE, lambda x: convolved(x, kernel(), "VALID")),
    "padded more": (WIDE, lambda x: convolved(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), kernel())),
    "another height": (WIDE, lambda x: convolved(x, kernel(height=1))),
    "dilated": (WIDE, lambda x: convolved(x, kernel(), rhs_dilation=(1, 2))),
    "grouped": ((1, 32, 32, 128), lambda x: convolved(x, kernel(outputs=128), feature_group_count=2)),
    "computed kernel": (WIDE, lambda x: convolved(x, kernel() * x[0, 0, 0, 0])),
    "channels first": (
        (1, 64, 32, 32),
        lambda x: jax.lax.conv_general_dilated(x, kernel().transpose(3, 2, 0, 1), (1, 1), "SAME"),
    ),
}


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("case", TAKEN)
def test_tiles_equal_the_convolution(case: str, dynamic: bool, lower: Callable[..., Any]) -> None:  # noqa: FBT001
    shape, function = TAKEN[case]
    found = lower(function, normal(*shape), dynamic=dynamic).agrees(atol=1e-5)
    assert found.operators == {
        "ADD": 12,
        "CONCATENATION": 3,
        "DEPTHWISE_CONV_2D": 16,
        "FULLY_CONNECTED": 16,
        "RESHAPE": 3,
        "SUB": 12,
    }
    assert found.runner.undelegated == ()


@pytest.mark.parametrize("case", LEFT)
def test_other_convolutions_stay_one_operator(case: str, lower: Callable[..., Any]) -> None:
    shape, function = LEFT[case]
    found = lower(function, normal(*shape)).agrees(atol=1e-4)
    assert found.operators["CONV_2D"] == 1
    assert "DEPTHWISE_CONV_2D" not in found.operators


def test_the_dialect_tflite_keeps_the_convolution(lower: Callable[..., Any]) -> None:
    function = TAKEN["with a bias"][1]
    found = lower(function, normal(*WIDE), composites=DIALECTS["tflite"].composites).agrees(atol=1e-5)
    assert found.operators == {"CONV_2D": 1}


@pytest.mark.parametrize("padding", [((1, 1), (1, 1)), ((0, 0), (1, 1))], ids=["around", "aside"])
def test_doubling_is_left_only_to_a_convolution_padded_all_around(padding: Any, lower: Callable[..., Any]) -> None:
    weights = kernel(outputs=5, inputs=7)
    found = lower(lambda x: convolved(composites.upsample_nearest(x, factor=2), weights, padding), normal(2, 3, 5, 7))
    assert found.agrees(atol=1e-5).operators.get("FULLY_CONNECTED", 0) == (9 if padding[0] == (1, 1) else 0)


def test_kernels_come_from_the_checkpoint_as_matrices(lower: Callable[..., Any]) -> None:
    found = lower(convolved, normal(*WIDE), weights={"weights": kernel()})
    shapes = [tuple(tensor.shape) for tensor in found.agrees(atol=1e-5).model.subgraphs[0].tensors]
    assert shapes.count((72, MIN_CHANNELS)) == 16
    assert kernel().shape not in shapes


def test_a_matrix_is_rounded_once() -> None:
    weights = kernel()
    exact = np.einsum("h,w,hwio->oi", [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], weights.astype(np.float64))
    found = winograd.transform(weights, F23.kernel[1], F23.kernel[2])
    np.testing.assert_array_equal(found, exact.astype(np.float32))


def test_the_error_is_no_larger_than_the_convolutions(lower: Callable[..., Any]) -> None:
    weights, picture, errors = kernel(outputs=64), normal(*WIDE), {}
    exact = exact_convolution(picture, weights)
    for form in ("WINOGRAD", "CONV_2D"):
        made = lower(lambda x: convolved(x, weights), picture, composites={"conv_general_dilated": [form]})
        (found,) = made.runner.run(made.inputs).values()
        errors[form] = float(np.sqrt(np.mean((found - exact) ** 2)))
    assert 0 < errors["WINOGRAD"] < 1.1 * errors["CONV_2D"]


def exact_convolution(x: Array, weights: Array) -> Array:
    """Return the convolution with zeros around, in float64."""
    _, height, width, _ = x.shape
    wide = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    taps = [(row, column) for row in range(3) for column in range(3)]
    return np.asarray(
        sum(wide[:, row : row + height, column : column + width] @ weights[row, column] for row, column in taps)
    )
