"""What ONNX's shape inference refuses is no model for any target: ONNX Runtime does not load it either."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from lwmport.targets.preflight import Conditions, check
from lwmport.types import Status

X = helper.make_tensor_value_info("x", 1, [1, 3, 8, 8])
Y = onnx.ValueInfoProto(name="y")


def write(path: Path, nodes: list[onnx.NodeProto], constants: dict[str, Any] | None = None, **record: Any) -> Path:
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(nodes, "g", [X], [Y], tensors)
    onnx.save(
        helper.make_model(graph, **{"opset_imports": [helper.make_opsetid("", 18)], "ir_version": 9, **record}), path
    )
    return path


def node(operator: str, *more: str, **attributes: Any) -> list[onnx.NodeProto]:
    return [helper.make_node(operator, ["x", *more], ["y"], name="n", **attributes)]


REFUSED = {
    "axes that there are not": (node("Transpose", perm=[9, 9, 9, 9]), {}, "Invalid attribute perm"),
    "an attribute that is missing": (node("Cast"), {}, "attribute to not specified"),
    "pads of another number": (node("Conv", "w", pads=[1]), {"w": np.ones((4, 3, 3, 3), np.float32)}, "pads"),
    "strides of 0": (node("MaxPool", kernel_shape=[2, 2], strides=[0, 0]), {}, "tride"),
    "weights of another size": (node("MatMul", "w"), {"w": np.ones((5, 5), np.float32)}, "ncompatible"),
    "a shape of two unknowns": (node("Reshape", "s"), {"s": np.array([-1, -1])}, "-1"),
    "a step of 0": (
        node("Slice", "a", "b", "c", "d"),
        dict(zip("abcd", np.array([[0], [5], [3], [0]]), strict=True)),
        "tep",
    ),
    "groups of 0": (node("Conv", "w", group=0), {"w": np.ones((4, 3, 3, 3), np.float32)}, "at least 1"),
    "padding of another name": (node("MaxPool", kernel_shape=[2, 2], auto_pad="SIDE"), {}, "NOTSET"),
}


@pytest.mark.parametrize("target", ["cpu", "ascend", "aipu", "migraphx"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_no_reader_takes_fails_for_every_target(case: str, target: str, tmp_path: Path) -> None:
    nodes, constants, words = REFUSED[case]
    found = check(write(tmp_path / "m.onnx", nodes, constants), Conditions(target=target))
    assert found.status is Status.FAILED
    assert [one for one in found.findings if one.where == "n" and words in one.found], found.findings


def test_what_follows_from_an_unknown_operator_is_no_fault_of_the_next_one(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("FusedGelu", ["x"], ["z"], domain="com.microsoft"),
        helper.make_node("Transpose", ["z"], ["y"], perm=[0, 2, 3, 1]),
    ]
    sets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    found = check(write(tmp_path / "m.onnx", nodes, opset_imports=sets), Conditions(target="cpu"))
    assert not [one for one in found.findings if one.rule == "P11"]


def test_a_function_that_onnx_gives_an_operator_is_not_the_models_fault(tmp_path: Path) -> None:
    found = check(write(tmp_path / "m.onnx", node("MeanVarianceNormalization")), Conditions(target="cpu"))
    assert found.status is Status.PASSED


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"ir_version": 14}, "IR version 14"),
        ({"opset_imports": [helper.make_opsetid("", -7)]}, "opset -7"),
        ({"opset_imports": [helper.make_opsetid("com.microsoft", 1)]}, "no opset"),
    ],
)
def test_versions_that_onnx_runtime_refuses_fail(record: dict[str, Any], words: str, tmp_path: Path) -> None:
    found = check(write(tmp_path / "m.onnx", node("Relu"), **record), Conditions(target="cpu"))
    assert [one for one in found.findings if one.rule == "P01" and words in one.found]


def test_scales_that_are_none_fail_on_a_cpu(tmp_path: Path) -> None:
    scales = {"s": np.array([1, 1, -1, 1], np.float32)}
    found = check(write(tmp_path / "m.onnx", node("Resize", "", "s"), scales), Conditions(target="cpu"))
    assert [one for one in found.findings if one.rule == "P14"]


def test_two_inputs_of_a_name_and_an_input_without_a_type_fail(tmp_path: Path) -> None:
    graph = helper.make_graph(node("Relu"), "g", [X, X, onnx.ValueInfoProto(name="v")], [Y])
    onnx.save(helper.make_model(graph, ir_version=9), tmp_path / "m.onnx")
    found = check(tmp_path / "m.onnx", Conditions(target="cpu"))
    assert {one.where for one in found.findings if one.rule == "P11"} >= {"x", "v"}
