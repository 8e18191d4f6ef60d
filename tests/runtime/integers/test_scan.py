"""What the integers of a small file come to, held against exact arithmetic."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, helper, numpy_helper

from lwmport.runtime.integers.pairs import in_a_product
from lwmport.runtime.integers.scan import scan
from lwmport.types import Array
from lwmport.validators.integers import IntegerProduct, Seen

RANDOM = np.random.default_rng(5)
STEP, ZERO = np.float32(0.02), np.int8(-28)
X = RANDOM.normal(size=(1, 6, 5, 5)).astype(np.float32)
KERNEL = RANDOM.integers(-127, 128, (4, 6, 3, 3)).astype(np.int8)
KERNEL[:, :2, 1] = 127  # pairs that are beyond 16 bits where both codes are large
SCALES = np.linspace(0.01, 0.02, 4, dtype=np.float32)
BIAS = np.array([3, -70_000, 5, 900], np.int32)


def saved(
    path: Path, nodes: Sequence[NodeProto], constants: Mapping[str, Array], x: Array, opsets: Mapping[str, int]
) -> Path:
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, x.shape)],
        [onnx.ValueInfoProto(name="y")],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=9), path)
    return path


def seen(path: Path, x: Array) -> Seen:
    opened = scan(path, 1)
    try:
        return opened.run({"x": x})
    finally:
        opened.close()


def convolution(path: Path, dtype: type = np.int8, bias: Array = BIAS) -> Path:
    """Save a convolution between codes, as it is converted."""
    above = 128 if dtype is np.uint8 else 0
    constants = {"s": STEP.reshape(()), "z": np.array(int(ZERO) + above, dtype), "w": KERNEL, "ws": SCALES}
    constants |= {"b": bias, "bs": (STEP * SCALES).astype(np.float32)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="round"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["v"], name="back"),
        helper.make_node("DequantizeLinear", ["w", "ws"], ["k"], name="kernel", axis=0),
        helper.make_node("DequantizeLinear", ["b", "bs"], ["c"], name="bias", axis=0),
        helper.make_node("Conv", ["v", "k", "c"], ["y"], name="conv", pads=[1, 1, 1, 1], strides=[2, 1]),
    ]
    return saved(path, nodes, constants, X, {"": 17})


def exact(codes: Array, bias: Array = BIAS) -> tuple[Array, Array]:
    """Return the sums of the convolution, and its rows of steps [rows, channels, kernel]."""
    padded = np.pad(codes.astype(np.int64), [(0, 0), (0, 0), (1, 1), (1, 1)])
    rows = np.stack([padded[0, :, i : i + 3, j : j + 3] for i in range(0, 5, 2) for j in range(5)])
    return np.einsum("rchw,ochw->ro", rows, KERNEL.astype(np.int64)) + bias, rows


def steps() -> Array:
    return np.clip(np.rint(X / STEP) + int(ZERO), -128, 127) - int(ZERO)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_sums_pairs_and_clipped_values_are_those_of_exact_arithmetic(dtype: type, tmp_path: Path) -> None:
    found = seen(convolution(tmp_path / "m.onnx", dtype), X)
    (product,), (values,) = found.products, found.values
    sums, rows = exact(steps())
    assert (product.name, product.weight, product.terms) == ("conv", "w", 54)
    assert product.largest == pytest.approx(np.abs(sums).max(), rel=1e-6)
    least, largest = -128 - int(ZERO), 127 - int(ZERO)
    wide = KERNEL.reshape(4, -1).astype(np.int64)
    ends = [(np.where(wide > 0, a, b) * wide).sum(axis=1) + BIAS for a, b in ((largest, least), (least, largest))]
    assert product.worst == max(np.abs(end).max() for end in ends)
    codes = np.moveaxis(rows, 1, -1).reshape(len(rows), -1, 1, 2) + int(ZERO) + 128
    pairs = (codes * np.moveaxis(KERNEL, 1, -1).reshape(1, 4, -1, 2).transpose(0, 2, 1, 3).astype(np.int64)).sum(-1)
    assert product.largest_pair == np.abs(pairs).max()
    assert product.pairs == np.count_nonzero((pairs > 32767) | (pairs < -32768)) / pairs.size > 0
    beyond = np.rint(X / STEP) + int(ZERO)
    assert values.name == "conv/inputs"
    assert values.clipped == np.count_nonzero((beyond < -128) | (beyond > 127)) / X.size
    assert [one.name for one in found.scales] == ["s", "ws", "bs"]


def test_a_clipped_range_tells_how_far_values_lie_beyond(tmp_path: Path) -> None:
    (values,) = seen(convolution(tmp_path / "m.onnx"), X * 4).values
    assert values.clipped > 0.1
    assert values.steps == max(float((np.rint(X * 4 / STEP) + int(ZERO)).max()) - 127, 0)


def test_a_bias_at_the_end_of_int32_is_beyond_it(tmp_path: Path) -> None:
    bias = np.full(4, np.iinfo(np.int32).max, np.int32)
    (product,) = seen(convolution(tmp_path / "m.onnx", bias=bias), X).products
    assert product.largest > np.iinfo(np.int32).max
    assert product.headroom_bits < 0


def nbits(path: Path, level: int, zeros: Array, bits: int = 8) -> tuple[Path, Array, Array]:
    """Save a product that rounds what it multiplies; return its codes and what is multiplied."""
    codes = RANDOM.integers(0, 1 << bits, (5, 4, 16)).astype(np.uint8)
    stored = codes if bits == 8 else codes[..., ::2] | codes[..., 1::2] << 4
    x = RANDOM.normal(size=(3, 64)).astype(np.float32)
    scales = np.full((5, 4), 1e-6, np.float32)
    given = {"K": 64, "N": 5, "block_size": 16, "bits": bits, "accuracy_level": level}
    node = helper.make_node("MatMulNBits", ["x", "b", "s", "z"], ["y"], name="p", domain="com.microsoft", **given)
    return saved(path, [node], {"b": stored, "s": scales, "z": zeros}, x, {"": 17, "com.microsoft": 1}), codes, x


@pytest.mark.parametrize("bits", [4, 8])
def test_sums_of_groups_are_those_of_exact_arithmetic(bits: int, tmp_path: Path) -> None:
    zeros = RANDOM.integers(0, 1 << bits, (5, 4)).astype(np.uint8)
    stored = zeros.reshape(-1) if bits == 8 else (zeros[:, ::2] | zeros[:, 1::2] << 4).reshape(-1)
    path, codes, x = nbits(tmp_path / "m.onnx", 4, stored, bits)
    (product,) = seen(path, x).products
    rows = x.reshape(3, 4, 16)
    rounded = np.rint(rows / (np.abs(rows).max(axis=2, keepdims=True) / np.float32(127)))
    own = codes.astype(np.int64) - zeros[..., None]
    assert product.largest == np.abs(np.einsum("rgk,ogk->rgo", rounded, own)).max()
    assert product.worst == 127 * np.abs(own).sum(axis=2).max()
    assert product.terms == 16


def test_products_in_float32_have_no_sums_of_integers(tmp_path: Path) -> None:
    path, _, x = nbits(tmp_path / "m.onnx", 0, np.zeros(20, np.uint8))
    assert seen(path, x).products == []


def test_zero_points_that_are_no_code_are_counted(tmp_path: Path) -> None:
    zeros = np.zeros((5, 4), np.float32)
    zeros[0] = [-1, 16, 0.5, 15]
    path, _, x = nbits(tmp_path / "m.onnx", 0, zeros, bits=4)
    (scales,) = seen(path, x).scales
    assert (scales.outside, scales.subnormal) == (3, 0)


def test_pairs_of_weights_that_cannot_saturate_are_not_multiplied() -> None:
    values: Array = np.full((9, 4), 255, np.float32)
    assert in_a_product(values, np.full((3, 4), 64, np.float32)) == (0.0, 0.0)
    assert in_a_product(values, np.full((3, 4), 65, np.float32)) == (1.0, 255 * 130)
    assert in_a_product(values[:, :3], np.full((3, 3), 127, np.float32)) == (0.5, 255 * 254)


def test_a_model_without_integers_shows_none(tmp_path: Path) -> None:
    node: Any = helper.make_node("Relu", ["x"], ["y"], name="r")
    found = seen(saved(tmp_path / "m.onnx", [node], {}, X, {"": 17}), X)
    assert found == Seen(products=[], values=[], scales=[])


def test_products_are_named_by_what_is_stored_of_them(tmp_path: Path) -> None:
    """A kernel whose values are stored has its codes made by QuantizeLinear."""
    constants = {"s": STEP.reshape(()), "z": np.array(ZERO), "w": KERNEL * SCALES[:, None, None, None], "ws": SCALES}
    constants["wz"] = np.zeros(4, np.int8)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["v"]),
        helper.make_node("QuantizeLinear", ["w", "ws", "wz"], ["u"], axis=0),
        helper.make_node("DequantizeLinear", ["u", "ws", "wz"], ["k"], axis=0),
        helper.make_node("Conv", ["v", "k"], ["y"], name="conv", pads=[1, 1, 1, 1], strides=[2, 1]),
    ]
    found = seen(saved(tmp_path / "m.onnx", nodes, constants, X, {"": 17}), X)
    (product,) = found.products
    assert isinstance(product, IntegerProduct)
    assert product.weight == "w"
    assert product.largest == pytest.approx(np.abs(exact(steps(), np.zeros(4, np.int32))[0]).max(), rel=1e-6)
    assert len(found.values) == 1
