"""The formulas of CANN's own operators against numpy, and a model that holds them beside its weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from lwmport.errors import RunnerError
from lwmport.runtime.runners.npu_formulas import FORMULAS, INTERLEAVED, NOTE, spelled_out
from lwmport.runtime.runners.onnxruntime import OnnxRuntimeRunner
from lwmport.types import Array

RANDOM = np.random.default_rng(3)
X = RANDOM.standard_normal((2, 3, 4, 8)).astype(np.float32)
GAMMA, BETA = RANDOM.standard_normal((2, 8)).astype(np.float32)
SCALE, SHIFT = RANDOM.standard_normal((2, 3)).astype(np.float32)
COS, SIN = RANDOM.standard_normal((2, 1, 3, 1, 8)).astype(np.float32).transpose(0, 1, 3, 2, 4)[:, :, :, :1]


def rms_norm(x: Array, gamma: Array, epsilon: float = 1e-6) -> tuple[Array, ...]:
    wide = x.astype(np.float64)
    root = 1 / np.sqrt((wide**2).mean(-1, keepdims=True) + epsilon)
    return gamma * wide * root, root


def add_rms_norm(x: Array, y: Array, gamma: Array, epsilon: float = 1e-6) -> tuple[Array, ...]:
    return (*rms_norm(x + y, gamma, epsilon), x + y)


def half(x: Array, cos: Array, sin: Array) -> tuple[Array, ...]:
    first, second = np.split(x, 2, axis=-1)
    return (x * cos + np.concatenate([-second, first], axis=-1) * sin,)


def interleaved(x: Array, cos: Array, sin: Array) -> tuple[Array, ...]:
    pairs = np.stack([-x[..., 1::2], x[..., ::2]], axis=-1).reshape(x.shape)
    return (x * cos + pairs * sin,)


def group_norm_silu(x: Array, gamma: Array, beta: Array, groups: int = 3, epsilon: float = 1e-5) -> tuple[Array, ...]:
    grouped = x.astype(np.float64).reshape(x.shape[0], groups, -1)
    mean, root = grouped.mean(-1), 1 / np.sqrt(grouped.var(-1) + epsilon)
    normal = ((grouped - mean[..., None]) * root[..., None]).reshape(x.shape)
    y = normal * gamma[:, None, None] + beta[:, None, None]
    return y / (1 + np.exp(-y)), mean, root


Formula = Callable[..., tuple[Array, ...]]
CASES: dict[str, tuple[str, Formula, tuple[Array, ...], dict[str, Any]]] = {
    "RMS norm": ("NPURmsNorm", rms_norm, (X, GAMMA), {}),
    "RMS norm, epsilon": ("NPURmsNorm", lambda x, w: rms_norm(x, w, 0.5), (X, GAMMA), {"epsilon": 0.5}),
    "sum": ("NPUAddRmsNorm", add_rms_norm, (X, X[::-1].copy(), GAMMA), {"epsilon": 1e-6}),
    "halves": ("NPURotaryMul", half, (X, COS, SIN), {}),
    "halves, named": ("NPURotaryMul", half, (X, COS, SIN), {"rotary_mode": "half"}),
    "neighbours": ("NPURotaryMul", interleaved, (X, COS, SIN), {"rotary_mode": "interleave"}),
    "group norm": ("NPUGroupNormSilu", group_norm_silu, (X, SCALE, SHIFT), {"group": 3}),
    "group norm of one group, num_groups, eps": (
        "NPUGroupNormSilu",
        lambda x, w, b: group_norm_silu(x, w, b, 1, 0.5),
        (X, SCALE, SHIFT),
        {"num_groups": 1, "eps": 0.5},
    ),
}
OUTPUTS = {"NPURmsNorm": 2, "NPUAddRmsNorm": 3, "NPURotaryMul": 1, "NPUGroupNormSilu": 3}


def written(folder: Path, name: str, opset: int = 17, dtype: Any = np.float32) -> Path:
    """Write one node whose operands but the first are weights in a file beside the model."""
    operator, _, (x, *weights), attributes = CASES[name]
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    names = [f"w{number}" for number in range(len(weights))]
    outputs = [f"y{number}" for number in range(OUTPUTS[operator])]
    node = helper.make_node(operator, ["x", *names], outputs, "only", domain="npu", **attributes)
    root = helper.np_dtype_to_tensor_dtype(np.dtype(np.float32)) if "Rms" in operator else kind
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", kind, x.shape)],
        [helper.make_tensor_value_info(y, root if y == "y1" else kind, None) for y in outputs],
        [onnx.numpy_helper.from_array(array.astype(dtype), name) for array, name in zip(weights, names, strict=True)],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("npu", 1)]
    path = folder / "model.onnx"
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.save(model, path, save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    return path


@pytest.mark.parametrize(("opset", "dtype"), [(11, np.float16), (13, np.float32), (17, np.float16), (18, np.float32)])
@pytest.mark.parametrize("name", CASES)
def test_a_formula_is_what_numpy_says(name: str, opset: int, dtype: Any, tmp_path: Path) -> None:
    _, formula, operands, _ = CASES[name]
    narrow = [array.astype(dtype) for array in operands]
    found = list(OnnxRuntimeRunner(written(tmp_path, name, opset, dtype), threads=1).run({"x": narrow[0]}).values())
    expected = formula(*(array.astype(np.float32) for array in narrow))
    allowed = {"rtol": 1e-5, "atol": 1e-5} if dtype == np.float32 else {"rtol": 4e-3, "atol": 4e-3}
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, **allowed)


def test_every_formula_has_a_case() -> None:
    interleave = any(attributes.get("rotary_mode") == "interleave" for *_, attributes in CASES.values())
    assert {operator for operator, *_ in CASES.values()} | ({INTERLEAVED} if interleave else set()) == set(FORMULAS)


def test_the_files_stay_as_they_are_and_the_runner_says_what_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "elsewhere").mkdir()
    path = written(tmp_path / "model", "sum")
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    monkeypatch.chdir(tmp_path / "elsewhere")
    runner = OnnxRuntimeRunner(path, threads=1)
    relative = OnnxRuntimeRunner(Path("..") / "model" / path.name, threads=1)
    assert runner.name == relative.name == f"ONNX Runtime, {NOTE}"
    assert [spec.name for spec in runner.inputs] == ["x"]
    for name, array in runner.run({"x": X}).items():
        np.testing.assert_array_equal(array, relative.run({"x": X})[name])
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before
    assert not list(Path.cwd().iterdir())


def test_the_weights_are_not_read(tmp_path: Path) -> None:
    path = written(tmp_path, "RMS norm")
    (tmp_path / "model.onnx.data").unlink()
    assert onnx.load_model_from_string(spelled_out(path)).graph.initializer[0].external_data


def test_a_model_without_such_operators_is_run_as_it_is(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "plain",
        [helper.make_tensor_value_info("x", 1, [2])],
        [helper.make_tensor_value_info("y", 1, [2])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    assert OnnxRuntimeRunner(tmp_path / "m.onnx", threads=1).name == "ONNX Runtime"


def test_an_operator_without_a_formula_is_told_in_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, "RMS norm")
    model = onnx.load(path, load_external_data=False)
    model.graph.node[0].op_type = "NPUMish"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(RunnerError, match="found NPUMish at only; run the model on the device") as found:
        OnnxRuntimeRunner(path, threads=1)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [({}, "expected a whole number as attribute group"), ({"group": 3, "eps": 1}, "expected a float as attribute eps")],
)
def test_attributes_of_another_kind_are_told_in_one_line(
    attributes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = written(tmp_path, "group norm")
    model = onnx.load(path, load_external_data=False)
    del model.graph.node[0].attribute[:]
    model.graph.node[0].attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
    path.write_bytes(model.SerializeToString())
    with pytest.raises(RunnerError, match=f"{words}.* at only$"):
        OnnxRuntimeRunner(path, threads=1)


def test_a_node_that_a_formula_does_not_fit_is_refused_in_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, "RMS norm")
    model = onnx.load(path, load_external_data=False)
    model.graph.node[0].input.append("x")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(RunnerError, match="ONNX Runtime refused") as found:
        OnnxRuntimeRunner(path, threads=1)
    assert "\n" not in str(found.value)
