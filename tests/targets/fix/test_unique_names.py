"""A body may not give a name that a graph around it has; what is renamed computes what was meant."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from lwmport.targets.fix.unique_names import mend_shadows, rename_shadows

FLOAT = TensorProto.FLOAT


def value(name: str, *shape: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, FLOAT, shape)


def body(name: str, nodes: list[onnx.NodeProto], output: str) -> onnx.GraphProto:
    return helper.make_graph(nodes, name, [], [value(output, 2)], value_info=[value("twice", 2)])


def shadowing() -> onnx.ModelProto:
    """Return y = 6x + 1, whose bodies call 4x ``twice`` too, as the main graph calls 2x."""
    ones = helper.make_tensor("one", FLOAT, [1], [1.0])
    inner = body("inner", [helper.make_node("Add", ["twice", "twice_2"], ["z"])], "z")
    deep = body("deep", [helper.make_node("Neg", ["twice"], ["twice_3"])], "twice_3")
    upper = [
        helper.make_node("Mul", ["x", "four"], ["twice"]),
        helper.make_node("If", ["true"], ["sum"], then_branch=inner, else_branch=deep),
    ]
    then = body("then", [*upper, helper.make_node("Add", ["sum", "one"], ["yes"])], "yes")
    lower = [helper.make_node("Mul", ["x", "four"], ["twice"]), helper.make_node("Neg", ["twice"], ["no"])]
    nodes = [
        helper.make_node("Add", ["x", "x"], ["twice"]),
        helper.make_node("Identity", ["twice"], ["twice_2"]),
        helper.make_node("If", ["true"], ["y"], then_branch=then, else_branch=body("else", lower, "no")),
    ]
    constants = [
        ones,
        helper.make_tensor("four", FLOAT, [1], [4.0]),
        helper.make_tensor("true", TensorProto.BOOL, [], [True]),
    ]
    graph = helper.make_graph(nodes, "main", [value("x", 2)], [value("y", 2)], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(path: Path) -> list[float]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return [float(item) for item in session.run(None, {"x": np.array([1.0, 2.0], np.float32)})[0]]


def test_what_is_renamed_opens_and_computes_what_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(shadowing(), path)
    with pytest.raises(Exception, match="single static assignment"):
        run(path)
    assert mend_shadows(path) == 2
    assert run(path) == [7.0, 13.0]
    onnx.checker.check_model(str(path), full_check=True)


def test_a_model_without_shadows_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    model = shadowing()
    rename_shadows(model.graph)
    onnx.save(model, path)
    before = path.stat().st_mtime_ns
    assert mend_shadows(path) == 0
    assert path.stat().st_mtime_ns == before
