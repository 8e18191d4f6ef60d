"""Models that fill the memory or never end: each costs one line, and nothing of ours."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from rule_cases import INT64, model, node, value

from lwmport.errors import ChildError, PortError, RunnerError, UsageError
from lwmport.runtime.isolated import run_all

BOOL = onnx.TensorProto.BOOL


def endless() -> onnx.ModelProto:
    """Return a model whose loop counts to 2^63 - 1."""
    body = helper.make_graph(
        [node("Identity", "go", "again"), node("Add", "v one", "w")],
        "body",
        [value("i", [], INT64), value("go", [], BOOL), value("v", [1])],
        [value("again", [], BOOL), value("w", [1])],
        [onnx.numpy_helper.from_array(np.ones(1, np.float32), "one")],
    )
    constants = {"count": np.asarray(2**63 - 1), "true": np.asarray(True)}  # noqa: FBT003 - a value
    return model([node("Loop", "count true x", "y", body=body)], [value("x", [1])], [value("y", [1])], constants)


def windows() -> onnx.ModelProto:
    """Return a model that makes as many numbers as its input says."""
    return model([node("HannWindow", "n", "y")], [value("n", [], INT64)], [value("y", None)])


def saved(made: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return path


def test_each_run_has_its_outputs_or_its_refusal(tmp_path: Path) -> None:
    path = saved(model([node("Relu", "x", "y")], [value("x", [1, 2])], [value("y", [1, 2])]), tmp_path)
    good, bad = {"x": np.array([[-1, 2]], np.float32)}, {"x": np.zeros((3, 3), np.float32)}
    runs = run_all(path, [good, bad, good])
    assert runs.runner == "ONNX Runtime"
    first, second, third = runs.outputs
    assert isinstance(second, RunnerError)
    for found in (first, third):
        assert not isinstance(found, PortError)
        np.testing.assert_array_equal(found["y"], [[0, 2]])


def test_a_model_that_is_refused_is_refused_as_ever(tmp_path: Path) -> None:
    path = saved(model([node("NoSuch", "x", "y")]), tmp_path)
    with pytest.raises(RunnerError, match="ONNX Runtime refused") as told:
        run_all(path, [])
    assert not isinstance(told.value, ChildError)
    with pytest.raises(UsageError):
        run_all(path, [], runner="litert")


def test_a_loop_without_an_end_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LWMPORT_SECONDS", "3")
    with pytest.raises(ChildError, match=r"the runs of model\.onnx to end within 3 s") as told:
        run_all(saved(endless(), tmp_path), [{"x": np.zeros(1, np.float32)}])
    assert told.value.cause == "time"


def test_a_model_that_asks_for_all_memory_gets_its_bound(tmp_path: Path) -> None:
    small, large = run_all(saved(windows(), tmp_path), [{"n": np.asarray(4)}, {"n": np.asarray(1 << 33)}]).outputs
    assert not isinstance(small, PortError)
    assert small["y"].shape == (4,)
    assert isinstance(large, ChildError)
    assert large.cause == "memory"
    assert "expected the runs of model.onnx to take at most" in str(large)
