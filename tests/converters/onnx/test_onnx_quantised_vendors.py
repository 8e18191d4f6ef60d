"""Forms of weights of integers that one vendor reads: the same numbers, and others for every planted fault."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from lwmport.models.composites.rounding import rounded
from lwmport.models.schemes import INTEGERS, PAIRS
from lwmport.targets.ascend.dialects import ASCEND
from lwmport.targets.migraphx.dialects import MIGRAPHX
from lwmport.targets.preflight import Conditions, check
from lwmport.types import Array, Levels, Scheme

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


PICTURE = RANDOM.standard_normal((1, 8, 8, 4)).astype(np.float32)
KERNEL = RANDOM.standard_normal((3, 3, 4, 6)).astype(np.float32)


def convolve(x: Any, w: Any) -> Any:
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(rounded(x, Levels(scale=0.01, zero=7)), w, (1, 1), "SAME", None, None, numbers)


@pytest.fixture
def pairs(lower: Callable[..., Any]) -> Any:
    """Return a convolution of integers as AMCT takes it."""
    scheme = replace(PAIRS["w8a8"], group=0)
    given = {"weights": {"w": KERNEL}, "packed": ["w"], "scheme": scheme}
    return lower(convolve, PICTURE, opset=17, composites=ASCEND.composites, **given)


def test_amct_takes_pairs_in_front_of_a_convolution_and_behind_its_kernel(pairs: Any) -> None:
    pairs.agrees(atol=1e-5)
    assert (pairs.operators["QuantizeLinear"], pairs.operators["DequantizeLinear"], pairs.operators["Conv"]) == (
        2,
        2,
        1,
    )
    (kernel,) = (tensor for tensor in pairs.model.graph.initializer if tensor.name == "w")
    assert kernel.data_type == onnx.TensorProto.FLOAT
    found = check(pairs.artifact.path, Conditions(target="ascend")).findings
    assert {finding.rule for finding in found if finding.severity != "note"} == {"A37"}


def scale_of_the_neighbour(name: str, array: Array) -> Array:
    return np.roll(array, 1) if name.startswith("w/scales") else array


def zero_off_by_one(name: str, array: Array) -> Array:
    return array + np.int8(1) if name.startswith("zero_point") and not array.ndim else array


@pytest.mark.parametrize("fault", [scale_of_the_neighbour, zero_off_by_one])
def test_a_planted_fault_in_a_pair_fails(fault: Callable[[str, Array], Array], pairs: Any) -> None:
    broken, changed = onnx.load(pairs.artifact.path), 0
    for tensor in broken.graph.initializer:
        before = numpy_helper.to_array(tensor)
        after = fault(tensor.name, before)
        changed += not np.array_equal(before, after)
        tensor.CopyFrom(numpy_helper.from_array(np.asarray(after, before.dtype), tensor.name))
    assert changed == 1
    onnx.save(broken, pairs.artifact.path)
    with pytest.raises(AssertionError):
        pairs.agrees(atol=1e-3)
