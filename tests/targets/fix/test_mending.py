"""Models of old exporters, of rare dtypes and of odd forms are mended, or refused in one line."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from rule_cases import FLOAT, INT64, model, node, value

from lwmport.errors import ArtifactError, PortError, RunnerError, UnmendedError, UsageError
from lwmport.pipeline.check import CheckRequest, fix_artifact
from lwmport.pipeline.compile.run import CompileRequest, compile_artifacts
from lwmport.targets.fix import folding
from lwmport.targets.fix.mending import Mended, mend
from lwmport.targets.preflight import Conditions
from lwmport.types import Status

DOUBLE = onnx.TensorProto.DOUBLE


def saved(made: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save(made, path)
    return path


def mended(made: onnx.ModelProto, folder: Path, target: str = "ascend", **more: Any) -> Mended:
    return mend(saved(made, folder), folder / "out" / "fixed.onnx", Conditions(target=target, **more))


def operators(found: Mended) -> list[str]:
    return [item.op_type for item in onnx.load(found.path).graph.node]


def test_an_input_goes_with_its_initializer(tmp_path: Path) -> None:
    """IR version 3 lists weights as inputs; one that is folded away is none any more."""
    made = model(
        [node("Transpose", "w", "t", perm=[1, 0]), node("MatMul", "x t", "y")],
        [value("x", [1, 4]), value("w", [3, 4])],
        [value("y", [1, 3])],
        constants={"w": np.ones((3, 4), np.float32)},
        opset=9,
    )
    made.ir_version = 3
    found = mended(made, tmp_path)
    assert [one.name for one in onnx.load(found.path).graph.input] == ["x"]
    onnx.checker.check_model(onnx.load(found.path))
    (done,) = compile_artifacts(CompileRequest(artifact=tmp_path / "model.onnx", target="cpu", out=tmp_path / "c"))
    assert done.status is Status.PASSED, done.reason


def test_a_size_below_zero_is_a_dynamic_one(tmp_path: Path) -> None:
    made = model([node("Relu", "x", "y")], [value("x", [-1, 4])], [value("y", [-1, 4])])
    with pytest.raises(UsageError, match=r'give it: --input-shape "x:1,..."'):
        mended(made, tmp_path)
    assert mended(made, tmp_path, shapes={"x": (2, 4)}).proof.equal
    (found,) = compile_artifacts(CompileRequest(artifact=tmp_path / "model.onnx", target="cpu", out=tmp_path / "c"))
    assert found.status is Status.PASSED, found.reason


@pytest.mark.parametrize("dtype", ["INT8", "UINT16", "BFLOAT16", "FLOAT8E4M3FN", "INT4"])
def test_inputs_of_every_dtype_are_tried(dtype: str, tmp_path: Path) -> None:
    number = onnx.TensorProto.DataType.Value(dtype)
    made = model([node("Cast", "x", "y", to=FLOAT)], [value("x", [1, 5], number)], opset=21)
    made.ir_version = 10
    assert mended(made, tmp_path, "migraphx").proof.equal


def test_axes_stay_in_int64(tmp_path: Path) -> None:
    made = model(
        [node("Add", "a one", "axes"), node("ReduceSum", "x axes", "y")],
        [value("x", [2, 3, 4]), value("a", [1], INT64)],
        constants={"one": np.asarray([1])},
    )
    assert mended(made, tmp_path).proof.equal


def test_makers_of_float64_make_float32(tmp_path: Path) -> None:
    made = model([node("EyeLike", "x", "y", dtype=DOUBLE)], [value("x", [3, 4])], [value("y", None, DOUBLE)])
    assert mended(made, tmp_path).proof.equal


def branches(*, inner: bool) -> onnx.ModelProto:
    """Return an If of a constant; both branches call their values the same, and one holds another If."""
    then = helper.make_graph([node("Relu", "x", "t"), node("Neg", "t", "a")], "then", [], [value("a", None)])
    other = helper.make_graph([node("Neg", "x", "t"), node("Relu", "t", "b")], "other", [], [value("b", None)])
    made = node("If", "c", "z", then_branch=then, else_branch=other)
    if inner:
        again = helper.make_graph([made, node("Abs", "z", "u")], "again", [], [value("u", None)])
        made = node("If", "c", "z2", then_branch=again, else_branch=then)
        return model([made, node("Abs", "z2", "y")], constants={"c": np.bool_(1)})
    return model([made, node("Abs", "z", "y")], constants={"c": np.bool_(0)})


@pytest.mark.parametrize(("inner", "wanted"), [(False, ["Neg", "Relu", "Abs"]), (True, ["Relu", "Neg", "Abs", "Abs"])])
def test_an_if_with_a_known_condition_is_its_branch(inner: bool, wanted: list[str], tmp_path: Path) -> None:  # noqa: FBT001
    found = mended(branches(inner=inner), tmp_path)
    assert operators(found) == wanted
    assert f"took the branch of {2 if inner else 1} If nodes whose condition is known" in found.notes


def test_operands_left_out_in_the_middle_are_no_error_for_the_inliner(tmp_path: Path) -> None:
    shapes = {"x": [1, 2, 4, 8], "k": [1, 2, 4, 8], "v": [1, 2, 4, 8], "pk": [1, 2, 3, 8], "pv": [1, 2, 3, 8]}
    made = model(
        [node("Attention", "x k v - pk pv", "y pk2 pv2")],
        [value(name, shape) for name, shape in shapes.items()],
        [value(name, None) for name in ("y", "pk2", "pv2")],
        opset=23,
    )
    made.ir_version = 11
    found = mended(made, tmp_path)
    assert "Attention" not in operators(found)


def test_a_damaged_node_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="expected Add Add_y with 2 inputs, found 1; it is damaged"):
        mended(model([node("Add", "x", "y")]), tmp_path)
    bad = node("Cast", "x", "y", to=1)
    bad.attribute[0].CopyFrom(helper.make_attribute("to", "float"))
    with pytest.raises(ArtifactError, match="the attribute to as INT, found STRING"):
        mended(model([bad]), tmp_path)


def test_a_fault_of_ours_is_one_line_that_asks_for_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_draft: object) -> None:
        raise KeyError("odd")

    monkeypatch.setattr(folding, "fold", fails)
    with pytest.raises(UnmendedError, match=r"could not mend .*model.onnx: KeyError: 'odd'.*please report it"):
        mended(model([node("Relu", "x", "y")]), tmp_path)
    assert not (tmp_path / "out").exists()


def test_an_output_without_numbers_proves_nothing(tmp_path: Path) -> None:
    made = model([node("Abs", "x", "t"), node("Neg", "t", "u"), node("Sub", "u one", "n"), node("Log", "n", "y")],
                 constants={"one": np.float32(1)})  # fmt: skip
    with pytest.raises(PortError, match="expected numbers in y to prove that they stay, found NaN or infinities alone"):
        mended(made, tmp_path)


def limited() -> onnx.ModelProto:
    """Return a table of 10 rows, read at an index that nothing tells to be one."""
    nodes = [node("Mul", "n two", "i"), node("Max", "i nine", "j"), node("Gather", "w j", "y", axis=0)]
    constants = {"two": np.asarray(2), "nine": np.asarray(18), "w": np.ones((25, 2), np.float32)}
    return model(nodes, [value("n", ["count"], INT64)], constants=constants)


def test_the_users_own_inputs_are_run(tmp_path: Path) -> None:
    path = saved(limited(), tmp_path)
    np.savez(tmp_path / "own.npz", n=np.asarray([[1, 12], [3, 4]]))
    request = CheckRequest(artifact=path, target="migraphx", inputs=tmp_path / "own.npz")
    found = fix_artifact(request, tmp_path / "out" / "fixed.onnx")
    assert found.sentence.startswith("before and after agree on 2 samples of own.npz: ")
    request = CompileRequest(artifact=path, target="cpu", inputs=tmp_path / "own.npz", out=tmp_path / "c")
    assert [one.status for one in compile_artifacts(request)] == [Status.PASSED]
    np.savez(tmp_path / "own.npz", n=np.asarray([99]))
    with pytest.raises(RunnerError, match=r"give inputs that it takes: --inputs F\.npz"):
        compile_artifacts(request)
    with pytest.raises(UsageError, match="expected --inputs with a target that runs or quantises"):
        compile_artifacts(CompileRequest(artifact=path, target="migraphx", inputs=tmp_path / "own.npz"))
