"""Weights that are stored as integers in TFLite: codes, scales, the kernels that read them, versions of operators."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

from lwmport.converters.dialects import DIALECTS
from lwmport.converters.tflite.schema import schema
from lwmport.converters.tflite.winograd import MIN_CHANNELS
from lwmport.errors import LoweringError
from lwmport.models.composites import basic as composites
from lwmport.models.composites.rounding import rounded
from lwmport.models.layers import rows
from lwmport.models.schemes import STATIC, TFLITE
from lwmport.types import Array, Levels, Scheme

RANDOM = np.random.default_rng(8)
X = RANDOM.standard_normal((2, 3, 64)).astype(np.float32)
MATRIX = RANDOM.standard_normal((64, 24)).astype(np.float32)
TABLE = RANDOM.standard_normal((40, 96)).astype(np.float32)
KERNEL = (RANDOM.standard_normal((3, 3, MIN_CHANNELS, 72)) / 24).astype(np.float32)
PICTURE = RANDOM.standard_normal((1, 32, 32, MIN_CHANNELS)).astype(np.float32)
PLACES = np.asarray([[0, 39], [3, 3]], np.int32)
W8, W4, WEIGHTS_ALONE = TFLITE["w8a8"], TFLITE["w4a8"], TFLITE["w8a16"]
ROUNDED = 0.06
"""Of the standard deviation of a product of 64 to 600 numbers whose rows are rounded to 8 bits: six deviations."""


def product(x: Any, w: Any) -> Any:
    return x @ w


def convolved(x: Any, w: Any) -> Any:
    return jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def doubled(x: Any, w: Any) -> Any:
    return convolved(composites.upsample_nearest(x, factor=2), w)


def versions(found: Any) -> dict[str, int]:
    """Return the version of each operator."""
    words = {number: word for word, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    return {words[code.builtinCode]: code.version for code in found.model.operatorCodes}


def integers(found: Any) -> list[tuple[str, tuple[int, ...]]]:
    """Return dtype and shape of every constant of integers of few bits."""
    names = {schema.TensorType.INT8: "int8", schema.TensorType.INT4: "int4"}
    tensors = found.model.subgraphs[0].tensors
    return [(names[one.type], tuple(map(int, one.shape))) for one in tensors if one.type in names]


def agrees_rounded(found: Any) -> Any:
    """Return what was lowered, whose rows are rounded: each value is within `ROUNDED` of JAX's."""
    for name, expected in found.reference.items():
        difference = np.abs(found.runner.run(found.inputs)[name] - expected).max()
        assert 0 < difference < ROUNDED * expected.std()
    assert found.runner.undelegated == ()
    return found


@pytest.mark.parametrize("scheme", [W8, W4, replace(W4, group=64, method="mse"), replace(W8, method="mse")])
def test_a_product_is_delegated_whole(scheme: Scheme, lower: Callable[..., Any]) -> None:
    found = agrees_rounded(lower(product, X, weights={"w": MATRIX}, packed=["w"], scheme=scheme))
    assert found.operators == {"FULLY_CONNECTED": 1}
    assert integers(found) == [(f"int{scheme.bits}", (24, 64))]
    assert versions(found) == {"FULLY_CONNECTED": 12 if scheme.bits == 8 else 10}


@pytest.mark.parametrize("function", [convolved, doubled])
def test_a_convolution_is_delegated_whole_and_stays_one(function: Any, lower: Callable[..., Any]) -> None:
    found = agrees_rounded(lower(function, PICTURE, weights={"w": KERNEL}, packed=["w"], scheme=W8))
    assert integers(found) == [("int8", (72, 3, 3, MIN_CHANNELS))]
    assert versions(found)["CONV_2D"] == 5


@pytest.mark.parametrize(("function", "x", "w"), [(product, X, MATRIX), (convolved, PICTURE, KERNEL)])
def test_weights_alone_become_numbers_while_the_delegate_prepares(
    function: Any, x: Array, w: Array, lower: Callable[..., Any]
) -> None:
    found = lower(function, x, weights={"w": w}, packed=["w"], scheme=WEIGHTS_ALONE).agrees(atol=1e-5, rtol=1e-5)
    assert found.operators["DEQUANTIZE"] == 1
    assert versions(found)["DEQUANTIZE"] == 5
    assert found.runner.undelegated == ()


@pytest.mark.parametrize("scheme", [W8, W4, WEIGHTS_ALONE])
def test_rows_of_a_table_are_exact(scheme: Scheme, lower: Callable[..., Any]) -> None:
    own = replace(scheme, channel=0)
    found = lower(lambda at, w: rows(w, at), PLACES, weights={"w": TABLE}, packed=["w"], scheme=own)
    found.agrees(rtol=0, atol=0)
    assert found.operators["EMBEDDING_LOOKUP"] == 1
    assert versions(found)["EMBEDDING_LOOKUP"] == 4
    assert integers(found) == [(f"int{scheme.bits}", TABLE.shape)]


@pytest.mark.parametrize("scheme", [W8, W4])
def test_a_table_that_is_multiplied_too_is_held_once(scheme: Scheme, lower: Callable[..., Any]) -> None:
    def both(at: Any, w: Any) -> Any:
        found = rows(w, at)
        return found @ w.T

    found = lower(both, PLACES, weights={"w": TABLE}, packed=["w"], scheme=replace(scheme, channel=0))
    assert {"EMBEDDING_LOOKUP", "FULLY_CONNECTED"} < set(found.operators)
    assert len(integers(found)) == 1
    (expected,) = found.reference.values()
    (made,) = found.runner.run(found.inputs).values()
    assert np.abs(made - expected).max() < ROUNDED * expected.std()


@pytest.mark.parametrize("scheme", [W8, W4, WEIGHTS_ALONE])
def test_a_channel_of_zeros_has_a_scale_that_the_delegate_takes(scheme: Scheme, lower: Callable[..., Any]) -> None:
    matrix = MATRIX.copy()
    matrix[:, :3] = 0
    matrix[:32, 3:6] = 1e-30
    found = lower(product, X, weights={"w": matrix}, packed=["w"], scheme=scheme)
    (made,) = found.runner.run(found.inputs).values()
    assert found.runner.undelegated == ()
    assert not made[..., :3].any()


@pytest.mark.parametrize(
    "function", [lambda x, w: x @ w.reshape(24, 64).T, lambda x, w: x @ (w * 2)], ids=["another shape", "computed"]
)
def test_what_has_no_form_is_stored_as_numbers(function: Any, lower: Callable[..., Any]) -> None:
    found = lower(function, X, weights={"w": MATRIX}, packed=["w"], scheme=W8).agrees(atol=1e-5)
    assert integers(found) == []


def test_the_least_code_of_8_bits_is_not_used(lower: Callable[..., Any]) -> None:
    """A kernel may then add two products in 16 bits. Drawn in, the largest weight would reach it."""
    matrix = MATRIX.copy()
    matrix[0] = -9
    found = lower(product, X, weights={"w": matrix}, packed=["w"], scheme=replace(W8, method="mse"))
    model = found.model
    (tensor,) = [one for one in model.subgraphs[0].tensors if one.type == schema.TensorType.INT8]
    buffer = model.buffers[tensor.buffer]
    codes = np.frombuffer(found.artifact.path.read_bytes(), np.int8, buffer.size, buffer.offset)
    assert codes.min() == -127


def test_codes_go_from_quantize_to_dequantize_and_are_enlarged_as_codes(lower: Callable[..., Any]) -> None:
    before, behind = Levels(scale=0.04, zero=-3), Levels(scale=0.05, zero=7)

    def function(x: Any, w: Any) -> Any:
        wide = composites.upsample_nearest(x, factor=2)
        return rounded(convolved(rounded(wide, before), w), behind)

    forms = DIALECTS["int8"].composites
    given = {"weights": {"w": KERNEL}, "packed": ["w"], "scheme": STATIC["w8a8"], "composites": forms}
    with pytest.raises(LoweringError, match="a convolution of codes gives to be rounded, found sums"):
        lower(lambda x, w: convolved(rounded(x, before), w), PICTURE, **given)
    found = lower(function, PICTURE, **given)
    assert versions(found) == {"CONCATENATION": 2, "CONV_2D": 3, "DEQUANTIZE": 2, "QUANTIZE": 1, "RESHAPE": 1}
    assert found.operators["QUANTIZE"] == 1
    assert found.runner.undelegated == ()
    ((name, expected),) = found.reference.items()
    steps = np.abs(found.runner.run(found.inputs)[name] - expected) / behind.scale
    assert np.count_nonzero(steps > 0.5) <= expected.size / 5000
    assert steps.max() < 1.01
