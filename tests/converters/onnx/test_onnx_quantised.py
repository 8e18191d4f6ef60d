"""Weights that are stored as integers, in ONNX Runtime's operators and in standard ones: the same numbers as JAX's."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

from lwmport.models.layers import rows
from lwmport.models.schemes import INTEGERS
from lwmport.types import Array, Scheme

RANDOM = np.random.default_rng(7)
X = RANDOM.standard_normal((2, 3, 64)).astype(np.float32)
WIDE = RANDOM.standard_normal((2, 72)).astype(np.float32)
MATRIX = RANDOM.standard_normal((64, 10)).astype(np.float32)
TABLE = RANDOM.standard_normal((10, 96)).astype(np.float32)
KERNEL = RANDOM.standard_normal((3, 3, 4, 6)).astype(np.float32)
PICTURE = RANDOM.standard_normal((1, 8, 8, 4)).astype(np.float32)
PLACES = np.asarray([[0, 9], [3, 3]], np.int32)
W4, W8 = INTEGERS["w4a16"], INTEGERS["w8a16"]
SCHEMES = {
    "4 bits": W4,
    "4 bits, zero points": replace(W4, symmetric=False),
    "8 bits, zero points, groups of 16": replace(W8, symmetric=False, group=16),
    "8 bits": W8,
}
PRODUCTS = {"ort": "com.microsoft.MatMulNBits", "onnx": "DequantizeLinear"}
ROWS = {"ort": "com.microsoft.GatherBlockQuantized", "onnx": "Gather"}


def product(x: Any, w: Any) -> Any:
    return x @ w


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
@pytest.mark.parametrize("dialect", PRODUCTS)
def test_a_product(dialect: str, scheme: Scheme, lower: Callable[..., Any]) -> None:
    found = lower(product, X, weights={"w": MATRIX}, packed=["w"], scheme=scheme, dialect=dialect).agrees(atol=1e-5)
    assert found.operators[PRODUCTS[dialect]] == 1
    assert "float32" not in stored_dtypes(found, "w")


@pytest.mark.parametrize("dialect", PRODUCTS)
@pytest.mark.parametrize("symmetric", [True, False])
def test_a_last_group_that_is_not_full(dialect: str, *, symmetric: bool, lower: Callable[..., Any]) -> None:
    matrix = RANDOM.standard_normal((72, 7)).astype(np.float32)
    scheme = replace(W4, symmetric=symmetric)
    found = lower(product, WIDE, weights={"w": matrix}, packed=["w"], scheme=scheme, dialect=dialect).agrees(atol=1e-5)
    assert found.operators[PRODUCTS[dialect]] == 1


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
@pytest.mark.parametrize("dialect", ROWS)
def test_rows_of_a_table(dialect: str, scheme: Scheme, lower: Callable[..., Any]) -> None:
    own = replace(scheme, channel=0)
    found = lower(lambda at, w: rows(w, at), PLACES, weights={"w": TABLE}, packed=["w"], scheme=own, dialect=dialect)
    found.agrees(rtol=0, atol=0)
    assert ROWS[dialect] in found.operators
    assert stored_dtypes(found, "w") == {"uint8"}


@pytest.mark.parametrize("dialect", PRODUCTS)
def test_a_table_that_is_multiplied_too(dialect: str, lower: Callable[..., Any]) -> None:
    def both(at: Any, w: Any) -> Any:
        found = rows(w, at)
        return found @ w.T

    scheme = replace(W4, channel=0, symmetric=False)
    found = lower(both, PLACES, weights={"w": TABLE}, packed=["w"], scheme=scheme, dialect=dialect).agrees(atol=1e-4)
    assert found.operators[PRODUCTS[dialect]] == 1
    blocks = [tensor for tensor in found.model.graph.initializer if tensor.name == "w"]
    assert len(blocks) == 1


@pytest.mark.parametrize("dialect", PRODUCTS)
def test_a_kernel_of_a_convolution(dialect: str, lower: Callable[..., Any]) -> None:
    def convolve(x: Any, w: Any) -> Any:
        return jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    scheme = replace(W8, dtype="int8", group=0)
    found = lower(convolve, PICTURE, weights={"w": KERNEL}, packed=["w"], scheme=scheme, dialect=dialect)
    found.agrees(atol=1e-4)
    assert found.operators["DequantizeLinear"] == found.operators["Conv"] == 1
    assert stored_dtypes(found, "w") == {"int8"}


@pytest.mark.parametrize("scheme", [W4, replace(W4, channel=0)], ids=["matrix", "table"])
@pytest.mark.parametrize(
    "function",
    [lambda x, w: x @ w.reshape(32, 64).T, lambda x, w: x @ (w[:64, :32] * 2), lambda x, w: (w.T[:, :3], x)],
    ids=["another shape", "computed", "not multiplied"],
)
def test_what_has_no_form_is_stored_as_numbers(function: Any, scheme: Scheme, lower: Callable[..., Any]) -> None:
    matrix = RANDOM.standard_normal((64, 32)).astype(np.float32)
    found = lower(function, X, weights={"w": matrix}, packed=["w"], scheme=scheme, dialect="ort").agrees(atol=1e-5)
    assert "com.microsoft.MatMulNBits" not in found.operators


def test_the_level_says_what_is_rounded(lower: Callable[..., Any]) -> None:
    for name, level in (("w4a16", 1), ("w4a8", 4), ("w8a8", 4)):
        found = lower(product, X, weights={"w": MATRIX}, packed=["w"], scheme=INTEGERS[name], dialect="ort")
        (node,) = found.nodes("MatMulNBits")
        attributes = {each.name: each.i for each in node.attribute}
        bits = INTEGERS[name].bits
        assert attributes == {"K": 64, "N": 10, "bits": bits, "block_size": 32, "accuracy_level": level}


def stored_dtypes(found: Any, weight: str) -> set[str]:
    """Return the dtypes of the codes of a weight."""
    names = {2: "uint8", 3: "int8", 1: "float32", 21: "uint4", 22: "int4"}
    return {names[tensor.data_type] for tensor in found.model.graph.initializer if tensor.name == weight}


def test_codes_of_four_bits_lie_beside_each_other_in_a_row(lower: Callable[..., Any]) -> None:
    """An odd number of outputs puts the end of one row and the beginning of the next one into one byte."""
    matrix = RANDOM.standard_normal((64, 5)).astype(np.float32)
    found = lower(product, X, weights={"w": matrix}, packed=["w"], scheme=W4).agrees(atol=1e-5)
    assert stored_dtypes(found, "w") == {"int4"}


def test_values_are_rounded(lower: Callable[..., Any]) -> None:
    exact: Array = X @ MATRIX
    found = lower(product, X, weights={"w": MATRIX}, packed=["w"], scheme=W4, dialect="ort").run()
    (rounded,) = found.values()
    assert 0.1 < np.abs(rounded - exact).max() < 5
