"""Emulated arithmetic against a model of it in a few lines of numpy, and the words that say that it is a forecast."""

import contextlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from lwmport.errors import RunnerError
from lwmport.pipeline.destination import place_of
from lwmport.runtime.emulated.arithmetic import FLOAT16, FLOAT16_SUMS, by_channel, by_tensor, product
from lwmport.runtime.emulated.products import computed
from lwmport.runtime.registry import RUNNERS, open_runner
from lwmport.types import Array

RNG = np.random.default_rng(7)
NAMES = [name for name in RUNNERS if name.startswith("emulate:")]


def model(path: Path, kind: str, x: Array, constants: Mapping[str, Array], **attributes: Any) -> Path:
    node = helper.make_node(kind, ["x", *constants], ["y"], name="only", **attributes)
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    held = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph([node], "graph", inputs, outputs, held)
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=8
    )
    path.write_bytes(made.SerializeToString())
    return path


def ran(path: Path, name: str, x: Array) -> Array:
    with contextlib.closing(open_runner(path, name=name)) as runner:
        assert "a forecast, not a device's result" in runner.name
        return runner.run({"x": x})["y"]


def half(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return x.astype(np.float16).astype(np.float32)


def test_products_are_those_of_numpy_in_each_arithmetic(tmp_path: Path) -> None:
    x, w = RNG.normal(size=(3, 40)).astype(np.float32), RNG.normal(size=(40, 5)).astype(np.float32)
    path = model(tmp_path / "m.onnx", "MatMul", x, {"w": w})
    total = np.zeros((3, 5), np.float32)
    for k in range(0, 40, 16):
        total = half(total + half(x)[:, k : k + 16] @ half(w)[k : k + 16])
    brain = (value.astype(ml_dtypes.bfloat16).astype(np.float32) for value in (x, w))
    scale = np.abs(w).max(axis=0) / np.float32(127)
    step = (max(x.max(), 0) - min(x.min(), 0)) / np.float32(255)
    zero = np.rint(-min(x.min(), 0) / step)
    int8 = ((np.clip(np.rint(x / step) + zero, 0, 255) - zero) @ np.rint(w / scale)) * step * scale
    expected = {
        "float16": half(half(x) @ half(w)),
        "float16-sums": total,
        "bfloat16": np.matmul(*brain).astype(ml_dtypes.bfloat16).astype(np.float32),
        "ascend": half(half(x) @ half(w)),
        "int8": int8,
        "aipu": by_tensor(int8.astype(np.float32)),
    }
    for name, value in expected.items():
        found = ran(path, f"emulate:{name}", x)
        assert np.allclose(found, value, rtol=1e-3 if name == "ascend" else 1e-5, atol=1e-5), name
    assert not np.array_equal(ran(path, "emulate:float16-sums", x), expected["float16"])


def test_sums_in_float16_lose_what_sums_in_float32_keep() -> None:
    """4,096 ones: behind 2,048 the steps of float16 are 2, but chunks of 16 are added whole; a half is lost."""
    ones, half_ones = np.ones((1, 4096), np.float32), np.full((4096, 1), 1.03125, np.float32)
    assert product(ones, half_ones, FLOAT16) == 4224.0
    assert product(ones, half_ones, FLOAT16_SUMS) < 4192.0


def test_what_float16_cannot_hold_is_infinite_and_clipped_weights_are_not(tmp_path: Path) -> None:
    x, w = np.ones((1, 2), np.float32), np.array([[1e5], [0.0]], np.float32)
    path = model(tmp_path / "m.onnx", "MatMul", x, {"w": w})
    assert np.isposinf(ran(path, "emulate:float16", x)).all()
    assert ran(path, "emulate:ascend", x).item() == 65504.0
    assert np.isfinite(ran(path, "emulate:bfloat16", x)).all()


def test_squares_stay_in_float32_on_ascend(tmp_path: Path) -> None:
    x = np.array([[300.0]], np.float32)
    path = model(tmp_path / "m.onnx", "Pow", x, {"two": np.float32(2)})
    assert ran(path, "emulate:ascend", x).item() == 90000.0
    assert np.isposinf(ran(path, "emulate:float16", x)).all()


CONVOLUTIONS = {
    "grouped": ((2, 6, 9, 8), (4, 3, 3, 2), {"group": 2, "pads": [1, 0, 2, 1], "strides": [2, 1], "dilations": [1, 2]}),
    "plain": ((1, 3, 5, 5), (8, 3, 3, 3), {"pads": [1, 1, 1, 1]}),
    "one axis": ((2, 3, 7), (4, 3, 3), {}),
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_a_convolution_is_onnx_runtimes(case: str, tmp_path: Path) -> None:
    shape, kernel, attributes = CONVOLUTIONS[case]
    x, w = RNG.normal(size=shape).astype(np.float32), RNG.normal(size=kernel).astype(np.float32)
    bias = RNG.normal(size=kernel[0]).astype(np.float32)
    path = model(tmp_path / "m.onnx", "Conv", x, {"w": w, "b": bias}, **attributes)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = computed("Conv", attributes, [x, w, bias], np.matmul)
    assert np.allclose(found, session.run(None, {"x": x})[0], atol=1e-5)


@pytest.mark.parametrize("shapes", [((3, 4), (4, 5)), ((4,), (4, 5)), ((2, 3, 4), (4,)), ((4,), (4,))])
def test_vectors_and_stacks_multiply_as_numpys(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    a, b = (RNG.normal(size=shape).astype(np.float32) for shape in shapes)
    found = computed("MatMul", {}, [a, b], partial(product, arithmetic=FLOAT16))
    assert found.shape == np.matmul(a, b).shape
    assert np.allclose(found, np.matmul(a, b), atol=1e-5)


def test_gemm_turns_scales_and_rounds_weights_by_output(tmp_path: Path) -> None:
    x, w, c = (RNG.normal(size=shape).astype(np.float32) for shape in ((2, 8), (3, 8), (3,)))
    path = model(tmp_path / "m.onnx", "Gemm", x, {"w": w, "c": c}, transB=1, alpha=0.5, beta=2.0)
    expected = 0.5 * by_tensor(x) @ by_channel(w, 0).T + 2 * c
    assert np.allclose(ran(path, "emulate:int8", x), expected, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_forecast_says_what_it_is(name: str) -> None:
    assert "(a forecast, not a device's result)" in RUNNERS[name].title
    where, on_device = place_of(Path("model.onnx"), name)
    assert "forecast" in where
    assert not on_device


def test_a_packed_product_is_not_forecast_in_8_bits(tmp_path: Path) -> None:
    x = RNG.normal(size=(1, 32)).astype(np.float32)
    packed = {"w": np.full((4, 1, 16), 0x9A, np.uint8), "scales": np.full((4, 1), 0.5, np.float32)}
    made = {"domain": "com.microsoft", "K": 32, "N": 4, "bits": 4, "block_size": 32}
    path = model(tmp_path / "m.onnx", "MatMulNBits", x, packed, **made)
    assert np.isfinite(ran(path, "emulate:float16", x)).all()
    with pytest.raises(RunnerError, match=r"found com\.microsoft::MatMulNBits, which is not emulated in 8 bits"):
        open_runner(path, name="emulate:int8")
