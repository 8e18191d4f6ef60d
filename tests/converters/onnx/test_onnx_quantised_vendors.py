"""Forms of weights of integers that one vendor reads: the same numbers, and others for every planted fault."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from lwmport.models.schemes import INTEGERS
from lwmport.targets.migraphx.dialects import MIGRAPHX
from lwmport.types import Array, Scheme

RANDOM = np.random.default_rng(7)
X = RANDOM.standard_normal((2, 3, 72)).astype(np.float32)
MATRIX = RANDOM.standard_normal((72, 6)).astype(np.float32)
W4, W8 = INTEGERS["w4a16"], INTEGERS["w8a16"]


@pytest.fixture
def product(lower: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``product(scheme, rows, opset)``: a product with weights of integers in MIGraphX's form."""

    def made(scheme: Scheme, rows: int = 72, opset: int = 21) -> Any:
        return lower(
            lambda x, w: x @ w,
            X[..., :rows],
            weights={"w": MATRIX[:rows]},
            packed=["w"],
            scheme=scheme,
            opset=opset,
            composites=MIGRAPHX.composites,
        )

    return made


def shapes(found: Any) -> dict[str, tuple[int, ...]]:
    return {tensor.name: tuple(tensor.dims) for tensor in found.model.graph.initializer}


@pytest.mark.parametrize("symmetric", [True, False])
def test_four_bits_have_zero_points_of_one_axis_and_no_more_than_four_operands(
    product: Callable[..., Any], *, symmetric: bool
) -> None:
    found = product(replace(W4, symmetric=symmetric), opset=17).agrees(atol=1e-5)
    (node,) = found.nodes("MatMulNBits")
    assert len(node.input) == (3 if symmetric else 4)
    assert symmetric or shapes(found)[node.input[3]] == (6 * 2,)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("rows", "scales"), [(72, (3, 6)), (32, (6,))])
def test_eight_bits_have_zero_points_of_the_shape_of_scales(
    rows: int, scales: tuple[int, ...], product: Callable[..., Any], *, symmetric: bool
) -> None:
    found = product(replace(W8, symmetric=symmetric), rows).agrees(atol=1e-5)
    (node,) = found.nodes("DequantizeLinear")
    assert {shapes(found)[name] for name in node.input[1:]} == {scales}


def swapped_halves(array: Array) -> Array:
    return (array << 4) | (array >> 4) if array.ndim == 3 else array


def the_neighbours_scale(array: Array) -> Array:
    return np.roll(array, 1) if array.dtype == np.float32 else array


def zero_point_off_by_one(array: Array) -> Array:
    return array + np.uint8(1) if array.dtype == np.uint8 and array.ndim == 1 else array


@pytest.mark.parametrize("fault", [swapped_halves, the_neighbours_scale, zero_point_off_by_one])
def test_a_planted_fault_fails(fault: Callable[[Array], Array], product: Callable[..., Any]) -> None:
    found = product(replace(W4, symmetric=False)).agrees(atol=1e-5)
    broken = onnx.load(found.artifact.path)
    for tensor in broken.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(fault(numpy_helper.to_array(tensor)), tensor.name))
    onnx.save(broken, found.artifact.path)
    with pytest.raises(AssertionError):
        found.agrees(atol=1e-5)
