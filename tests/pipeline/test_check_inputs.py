"""A mended copy is proved on a user's inputs."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from lwmport.errors import PortError, UsageError
from lwmport.pipeline.check import CheckRequest, check_artifacts, fix_artifact
from lwmport.targets.fix.proof import prove
from lwmport.targets.graphs.onnx_file import read


def model(path: Path, factor: float, *, only_large: bool = False) -> Path:
    """Return a model that multiplies; with ``only_large``, only what lies beyond 500 and below 600."""
    nodes = [helper.make_node("Mul", ["x", "f"], ["y"], name="mul")]
    if only_large:
        nodes = [
            helper.make_node("Greater", ["x", "low"], ["above"], name="above"),
            helper.make_node("Less", ["x", "high"], ["below"], name="below"),
            helper.make_node("And", ["above", "below"], ["hit"], name="hit"),
            helper.make_node("Mul", ["x", "f"], ["other"], name="mul"),
            helper.make_node("Where", ["hit", "other", "x"], ["y"], name="where"),
        ]
    constants = {"f": factor, "low": 5e4, "high": 6e4}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 4])],
        [onnx.numpy_helper.from_array(np.float32(value), name) for name, value in constants.items()
         if only_large or name == "f"],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_the_proof_counts_the_users_inputs(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx", 2.0)
    np.savez(tmp_path / "in.npz", x=np.ones((3, 2, 4), np.float32))
    asked = CheckRequest(artifact=path, target="ascend", inputs=tmp_path / "in.npz")
    mended = fix_artifact(asked, tmp_path / "fixed.onnx")
    assert mended.proof.runs == 3
    assert "agree on 3 samples of in.npz: largest error" in mended.sentence
    fewer = CheckRequest(artifact=path, target="ascend", inputs=tmp_path / "in.npz", samples=1)
    assert fix_artifact(fewer, tmp_path / "again.onnx").proof.runs == 1


def test_a_difference_that_only_the_users_inputs_show_is_found(tmp_path: Path) -> None:
    one, other = (read(model(tmp_path / f"{factor}.onnx", factor, only_large=True)) for factor in (1.0, 2.0))
    assert prove(one, other).equal
    hit = {"x": np.full((2, 4), 5.5e4, np.float32)}
    assert not prove(one, other, given=[hit]).equal


def test_inputs_that_do_not_fit_or_mean_nothing_are_refused(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx", 2.0)
    np.savez(tmp_path / "in.npz", x=np.ones((3, 2, 5), np.float32))
    asked = CheckRequest(artifact=path, target="ascend", inputs=tmp_path / "in.npz")
    with pytest.raises(PortError, match=r"expected x as float32\[2, 4\]"):
        fix_artifact(asked, tmp_path / "fixed.onnx")
    assert not (tmp_path / "fixed.onnx").exists()
    with pytest.raises(UsageError, match="expected --inputs beside --fix"):
        check_artifacts(asked)
    with pytest.raises(UsageError, match="expected --samples beside --inputs"):
        CheckRequest(artifact=path, target="ascend", samples=2)
