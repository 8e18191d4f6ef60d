"""The verdict on a model for a CPU is ONNX Runtime's: whether it loads the model and runs it."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from rule_cases import BFLOAT, FLOAT, HALF, INT16, INT32, INT64, Build, built, model, node, one, value

from lwmport.targets.cpu import kernels
from lwmport.targets.preflight import Conditions, check
from lwmport.types import Status

UINT8, UINT16 = onnx.TensorProto.UINT8, onnx.TensorProto.UINT16
RNG = np.random.default_rng(0)


def weights(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def typed(op: str, dtype: int, inputs: str = "x", opset: int = 17, **attributes: Any) -> Build:
    operands = [value(name, [2, 2], dtype) for name in dict.fromkeys(inputs.split())]
    return built(model([node(op, inputs, "y", **attributes)], operands, [value("y", None, dtype)], opset=opset))


def gru(layout: int) -> Build:
    sizes = {"w": weights(1, 12, 4), "r": weights(1, 12, 4)}
    return one("GRU", "x", "w", "r", constants=sizes, inputs=[value("x", [3, 1, 4])], hidden_size=4, layout=layout)


def counted(start: Any, *, computed: bool) -> Build:
    known = {"start": np.asarray(start, np.int64), "five": np.asarray(5, np.int64), "one": np.asarray(1, np.int64)}
    first = [node("Add", "x start", "from")] if computed else []
    made = node("Range", f"{'from' if computed else 'start'} five one", "y")
    return built(model([*first, made], [value("x", [], INT64)], [value("y", None, INT64)], constants=known))


def rotated(angles: int) -> Build:
    tables = {"c": weights(4, angles), "s": weights(4, angles), "p": np.zeros((1, 3), np.int64)}
    shape = [value("x", [1, 2, 3, 8])]
    return one("RotaryEmbedding", "x", "c", "s", "p", constants=tables, inputs=shape, opset=23, rotary_embedding_dim=4)


def attended(keys: int, **attributes: Any) -> Build:
    known = {"k": weights(1, 2, 6, 8), "v": weights(1, 2, 6, 8), "m": weights(1, 1, 4, keys)}
    more = {"constants": known, "inputs": [value("x", [1, 2, 4, 8])], "opset": 24}
    return one("Attention", "x", "k", "v", "m", **more, **attributes)


def integers(points: int) -> Build:
    known = {
        "w": np.ones((2, 1, 2, 2), np.uint8),
        "a": np.asarray(1, np.uint8),
        "b": np.ones(points or (), np.uint8) * 2,
    }
    ends = {"inputs": [value("x", [1, 1, 3, 3], UINT8)], "outputs": [value("y", None, INT32)]}
    return one("ConvInteger", "x", "w", "a", "b", constants=known, opset=10, **ends)


def simplified() -> onnx.ModelProto:
    ends = [value("x", [2, 4])], [value("y", [2, 4])]
    made = node("SimplifiedLayerNormalization", "x s", "y", axis=-1)
    return model([made], *ends, constants={"s": np.ones(4, np.float32)})


def learned(op: str) -> onnx.ModelProto:
    made = helper.make_node(op, ["x"], ["y"], domain="ai.onnx.ml")
    graph = helper.make_graph([made], "g", [value("x", [1, 4])], [value("y", [1, 4])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx.ml", 2)], ir_version=8)


TAKEN: dict[str, Build] = {
    "opset 6": one("Relu", opset=6, inputs=[value("x", [2, 2])]),
    "no default opset": built(lambda: learned("Binarizer")),
    "a size of 0": one("Relu", inputs=[value("x", [0, 4])]),
    "no input": built(model([node("Constant", "", "y", value_floats=[1.0])], [])),
    "float16 by way of float32": typed("Softmax", HALF),
    "an operator by its function": typed("Swish", FLOAT, opset=24),
    "CastLike of bfloat16": built(
        model([node("CastLike", "x t", "y")], [value("x", [2], BFLOAT), value("t", [1])], opset=19)
    ),
    "GRU along the axis of time": gru(0),
    "a computed Range": counted([0], computed=True),
    "a Range of scalars": counted(0, computed=False),
    "angles of what is turned": rotated(2),
    "a mask over all keys": attended(6),
    "one zero point": integers(0),
    "ONNX Runtime's own in the default domain": built(simplified),
}
REFUSED: dict[str, Build] = {
    "opset 5": one("Relu", opset=5, inputs=[value("x", [2, 2])]),
    "opset 27": one("Relu", opset=27, inputs=[value("x", [2, 2])]),
    "no output": built(lambda: model([node("Relu", "x", "y")], [value("x", [2])], [])),
    "uint16 shifted": typed("BitShift", UINT16, "x x", direction="LEFT"),
    "int16 compared": typed("Max", INT16, "x x"),
    "a kernel of an older version alone": built(
        lambda: model(
            [node("RoiAlign", "x r b", "y")],
            [value("x", [1, 1, 8, 8]), value("r", [1, 4]), value("b", [1], INT64)],
            opset=22,
        )
    ),
    "bfloat16 multiplied": typed("Mul", BFLOAT, "x x"),
    "Bernoulli by a function without a kernel": typed("Bernoulli", FLOAT, opset=22),
    "GRU along the axis of the batch": gru(1),
    "a Range from one axis": counted([0], computed=False),
    "angles of the whole head": rotated(4),
    "a window that its version has not": attended(6, left_window_size=2),
    "a mask over some keys": attended(4),
    "a zero point for each channel": integers(2),
}


def runs(path: Path) -> bool:
    """Return whether ONNX Runtime loads a model and runs it on ones."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    with contextlib.suppress(Exception):
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        kinds = {"tensor(bfloat16)": np.uint16, "tensor(float16)": np.float16, "tensor(float)": np.float32}
        given = {}
        for spec in session.get_inputs():
            dtype = kinds.get(spec.type) or np.dtype(spec.type[7:-1])
            array = np.ones(spec.shape, dtype)
            made = onnxruntime.OrtValue.ortvalue_from_numpy
            given[spec.name] = (
                onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, BFLOAT)
                if dtype is np.uint16 and "bfloat" in spec.type
                else made(array)
            )
        return bool(session.run_with_ort_values(None, given))
    return False


@pytest.mark.parametrize("name", TAKEN)
def test_what_onnx_runtime_takes_passes(name: str, tmp_path: Path) -> None:
    path = TAKEN[name](tmp_path)
    found = check(path, Conditions(target="cpu"))
    assert runs(path)
    assert found.status is Status.PASSED, [f"{finding.rule} {finding.found}" for finding in found.findings]


@pytest.mark.parametrize("name", REFUSED)
def test_what_onnx_runtime_refuses_fails(name: str, tmp_path: Path) -> None:
    path = REFUSED[name](tmp_path)
    assert not runs(path)
    assert check(path, Conditions(target="cpu")).status is Status.FAILED


def test_the_list_of_kernels_is_that_of_the_newest_opset_that_is_read(tmp_path: Path) -> None:
    newest = one("Relu", opset=kernels.NEWEST, inputs=[value("x", [2, 2])])(tmp_path)
    assert runs(newest)
