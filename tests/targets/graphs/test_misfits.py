"""Attributes of other types and other numbers of operands: found by name, never computed with."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from rule_cases import model, node, value

from lwmport.errors import ArtifactError
from lwmport.targets.graphs.onnx_file import read
from lwmport.targets.preflight import Conditions, check, judge
from lwmport.targets.registry import TARGETS
from lwmport.targets.rules.rule import Rule
from lwmport.types import Severity

TARGETS_OF_OURS = ("aipu", "ascend", "cpu", "migraphx")
KINDS = {
    "a number": 3,
    "numbers": [1, 2],
    "a fraction": 0.5,
    "a text": "x",
    "texts": ["x"],
    "a tensor": onnx.numpy_helper.from_array(np.zeros(2, np.float32)),
    "a body": helper.make_graph([], "b", [], []),
}
ODD = {
    ("Conv", "strides"): "x w",
    ("Conv", "group"): "x w",
    ("Conv", "auto_pad"): "x w",
    ("Resize", "mode"): "x - w",
    ("Gather", "axis"): "x w",
    ("Cast", "to"): "x",
    ("Concat", "axis"): "x x",
    ("DequantizeLinear", "block_size"): "x w",
    ("Transpose", "perm"): "x",
    ("Softmax", "axis"): "x",
}


def saved(made: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return path


@pytest.mark.parametrize("target", TARGETS_OF_OURS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_attribute_of_another_type_is_found_and_not_used(kind: str, target: str, tmp_path: Path) -> None:
    for (operator, name), operands in ODD.items():
        weights = {"w": np.ones((4, 4, 3, 3), np.float32)}
        made = model([node(operator, operands, "y", **{name: KINDS[kind]})], constants=weights, opset=21)
        found = check(saved(made, tmp_path), Conditions(target=target))
        wanted = onnx.defs.get_schema(operator, 21).attributes[name].type.value
        misfit = made.graph.node[0].attribute[0].type != wanted
        told = [item for item in found.findings if item.found.startswith(f"the attribute {name} as ")]
        assert bool(told) is misfit, (operator, name)
        assert all(item.severity is Severity.ERROR and item.operator == operator for item in told)
        assert misfit is (name not in read(tmp_path / "model.onnx").nodes[0].attributes)


@pytest.mark.parametrize(
    ("operands", "found"),
    [("", "0 operands, where 2 to 3 are meant"), ("x w w w", "4 operands, where 2 to 3 are meant"), ("x w", "")],
)
def test_operands_are_counted(operands: str, found: str, tmp_path: Path) -> None:
    made = model([node("Conv", operands, "y")], constants={"w": np.ones((4, 4, 3, 3), np.float32)})
    told = [item.found for item in check(saved(made, tmp_path), Conditions(target="cpu")).findings]
    assert [text for text in told if "are meant" in text] == ([found] if found else [])


def test_what_a_function_takes_is_held_against_its_own_opset(tmp_path: Path) -> None:
    """At opset 12 the axes of a Squeeze are an attribute, at 13 they are an operand."""
    made = model([node("F", "x", "y", domain="own")], [value("x", [1, 4])], opset=13, own=1)
    body = [node("Squeeze", "a", "b", axes=[0])]
    made.functions.append(helper.make_function("own", "F", ["a"], ["b"], body, [helper.make_opsetid("", 12)]))
    assert not [
        item for item in check(saved(made, tmp_path), Conditions(target="cpu")).findings if "axes" in item.found
    ]


def test_a_rule_that_cannot_be_asked_costs_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = read(saved(model([node("Relu", "x", "y")]), tmp_path))
    broken = Rule(
        id="X1", severity=Severity.ERROR, title="a look", vendor="", fix="", source="", look=lambda _: iter([{}["no"]])
    )
    monkeypatch.setattr(type(TARGETS["cpu"]), "rule_table", (broken,))
    with pytest.raises(ArtifactError, match=r"the rule X1 \(a look\) cannot be asked of: KeyError: 'no'"):
        judge(graph, Conditions(target="cpu"))
