"""ONNX's shape inference reads the type of some operands without looking whether there is one, and the process ends."""

from pathlib import Path

import onnx
import pytest

from lwmport.targets.graphs import onnx_file
from lwmport.targets.graphs.stand_ins import FATAL


def _node(operator: str) -> onnx.NodeProto:
    domain = "" if operator == "RegexFullMatch" else "ai.onnx.ml"
    return onnx.helper.make_node(operator, ["nowhere"], ["out"], domain=domain)


def _written(path: Path, node: onnx.NodeProto) -> Path:
    graph = onnx.helper.make_graph([node], "g", [], [onnx.ValueInfoProto(name="out")])
    opsets = [onnx.helper.make_opsetid("", 21), onnx.helper.make_opsetid("ai.onnx.ml", 1)]
    path.write_bytes(onnx.helper.make_model(graph, opset_imports=opsets).SerializeToString())
    return path


@pytest.mark.parametrize("inside", ["", "body"])
@pytest.mark.parametrize("operator", FATAL)
def test_an_operand_without_a_type_ends_no_process(operator: str, inside: str, tmp_path: Path) -> None:
    node = _node(operator)
    if inside:
        body = onnx.helper.make_graph([node], "body", [], [onnx.ValueInfoProto(name="out")])
        node = onnx.helper.make_node("If", ["flag"], ["out"], then_branch=body, else_branch=body)
    graph = onnx_file.read(_written(tmp_path / "m.onnx", node))
    assert node.op_type in {item.op for item in graph.nodes}


def test_what_a_regular_expression_matches_keeps_its_shape(tmp_path: Path) -> None:
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("RegexFullMatch", ["x"], ["y"], pattern="a+")],
        "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.STRING, [2, 3])],
        [onnx.ValueInfoProto(name="y")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)])
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    found = onnx_file.read(tmp_path / "m.onnx")
    assert tuple(found.values["y"].shape or ()) == (2, 3)
