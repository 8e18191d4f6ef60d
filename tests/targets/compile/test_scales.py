"""Outputs whose range the graph tells, and what that changes of a verdict."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from lwmport.pipeline.compile.run import CompileRequest, compile_artifacts
from lwmport.targets.compile.agreement import agreement, together
from lwmport.targets.compile.scales import output_scales
from lwmport.targets.graphs.opening import open_graph
from lwmport.types import Status


def test_a_sigmoid_a_softmax_and_what_only_moves_them_are_bounded(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["a"]),
        helper.make_node("Transpose", ["a"], ["turned"]),
        helper.make_node("Softmax", ["x"], ["b"]),
        helper.make_node("Concat", ["a", "b"], ["both"], axis=0),
        helper.make_node("Concat", ["a", "x"], ["mixed"], axis=0),
        helper.make_node("Add", ["a", "b"], ["sum"]),
    ]
    names = ("turned", "both", "mixed", "sum")
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 2])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names],
    )
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    assert output_scales(open_graph(path)) == {"turned": 1.0, "both": 1.0}


RANDOM = np.random.default_rng(0)


def near(values: np.ndarray, error: float) -> np.ndarray:
    return (values + error * RANDOM.standard_normal(values.shape)).astype(np.float32)


@pytest.mark.parametrize(
    ("size", "error", "reason", "words"),
    [
        (0.5, 1e-6, False, "agrees"),
        (0.5, 2e-3, True, ""),
        (1e-4, 2e-6, False, "not judged: y, next to 0 of its range on these samples; give --inputs"),
        (2e-3, 5e-5, False, "agrees"),
        (2e-3, 2e-4, True, ""),
    ],
)
def test_an_output_of_known_range_is_measured_by_it(size: float, error: float, words: str, *, reason: bool) -> None:
    expected = (size * RANDOM.uniform(0.5, 1.5, (50, 50))).astype(np.float32)
    found = agreement("m.onnx", {"y": expected}, {"y": near(expected, error)}, "float32", {"y": 1.0})
    assert bool(found.reason) == reason
    assert words in found.words
    if size == 1e-4:
        unknown = agreement("m.onnx", {"y": expected}, {"y": near(expected, error)}, "float32")
        assert "dB from the artifact's own output" in unknown.reason


def test_runs_are_compared_as_one_where_their_shapes_allow_it() -> None:
    one, other = {"y": np.zeros((2, 3))}, {"y": np.ones((2, 3))}
    assert together([one, other])["y"].shape == (2, 2, 3)
    assert set(together([one, {"y": np.ones((4, 3))}])) == {"y of run 0", "y of run 1"}
    assert together([one]) == one


def detector(folder: Path) -> Path:
    """Return a model that answers to dark strokes on a light ground, and to nothing else."""
    weights = np.zeros((1, 3, 3, 3), np.float32)
    weights[0, :, 1, 1], weights[0, :, 1, 0], weights[0, :, 1, 2] = -40, 20, 20
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w", "b"], ["h"], pads=[1, 1, 1, 1]),
            helper.make_node("Sigmoid", ["h"], ["y"]),
        ],
        "detector",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "high", "wide"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, "high", "wide"])],
        [onnx.numpy_helper.from_array(weights, "w"), onnx.numpy_helper.from_array(np.array([-30], np.float32), "b")],
    )  # fmt: skip
    path = folder / "detector.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_detector_is_compared_on_a_drawn_picture_or_the_users(engine: str, tmp_path: Path) -> None:
    path = detector(tmp_path)
    asked = {"artifact": path, "target": "cpu", "soc": engine, "out": tmp_path / "out"}
    (drawn,) = compile_artifacts(CompileRequest(**asked))
    assert drawn.status is Status.PASSED
    assert "not judged" not in drawn.reason
    shown = np.random.default_rng(0).uniform(-1, 1, (2, 1, 3, 24, 32)).astype(np.float32)
    np.savez(tmp_path / "in.npz", x=shown)
    (given,) = compile_artifacts(CompileRequest(inputs=tmp_path / "in.npz", **asked))
    assert given.status is Status.PASSED
