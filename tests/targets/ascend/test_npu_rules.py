"""CANN's own fused operators: refused where the documents deny them, and where a plugin reads a node otherwise."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from rule_cases import built, model, node, npu, rms_norm

from lwmport.converters.onnx import npu_forms
from lwmport.targets.ascend.chips import CHIPS
from lwmport.targets.ascend.npu_rules import DOMAIN, EPSILON, FUSED, MULTIPLE
from lwmport.targets.ascend.operators import opsets
from lwmport.targets.fix.mending import mend
from lwmport.targets.graphs.onnx_file import read
from lwmport.targets.preflight import Conditions, check
from lwmport.types import Finding

TURN = ("NPURotaryMul", "x", "r", "r")
NORM = ("NPUGroupNormSilu", "x", "w", "w")

SUPPORT = [
    ("NPURmsNorm", "Ascend310P3", None),
    ("NPURmsNorm", "Ascend910B3", None),
    ("NPURmsNorm", "Ascend310B1", "error"),
    ("NPURmsNorm", "Ascend910A", "warning"),
    ("NPURmsNorm", "Ascend310", "warning"),
    ("NPUAddRmsNorm", "Ascend910_9391", None),
    ("NPUAddRmsNorm", "Ascend910A", "error"),
    ("NPUGroupNormSilu", "Ascend310P3", None),
    ("NPUGroupNormSilu", "Ascend910A", "error"),
    ("NPUGroupNormSilu", "Ascend310B1", "error"),
    ("NPURotaryMul", "Ascend910A", None),
    ("NPURotaryMul", "Ascend310B1", "warning"),
    ("NPURmsNorm", "Ascend950PR_9589", "warning"),
]
"""Operator, chip -> the severity of A34."""

IGNORED: dict[str, tuple[tuple[str, ...], dict[str, Any], str]] = {
    "another epsilon": (("NPURmsNorm", "x", "w"), {"epsilon": 1e-5}, "error"),
    "an epsilon that is a text": (("NPURmsNorm", "x", "w"), {"epsilon": "1e-6"}, "error"),
    "another epsilon behind a sum": (("NPUAddRmsNorm", "x", "x", "w"), {"epsilon": 1e-2}, "error"),
    "a sum under the name of a norm": (("NPURmsNorm", "x", "x", "w"), {}, "error"),
    "neighbours": (TURN, {"rotary_mode": "interleave"}, "error"),
    "no sines": (TURN[:3], {}, "error"),
    "no groups": (NORM, {"eps": 1e-6}, "error"),
    "epsilon for eps": (NORM, {"group": 2, "epsilon": 1e-6}, "error"),
    "no silu": (NORM, {"group": 2, "activate_silu": 0}, "error"),
    "another version": (("NPURmsNorm", "x", "w"), {"version": 2}, "error"),
}

TAKEN: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "no epsilon": (("NPURmsNorm", "x", "w"), {}),
    "a sum": (("NPUAddRmsNorm", "x", "x", "w"), {"epsilon": 1e-6}),
    "halves": (TURN, {"rotary_mode": "half"}),
    "any eps": (NORM, {"group": 2, "eps": 1e-3}),
    "num_groups": (NORM, {"num_groups": 2, "activate_silu": 1}),
}
OPERANDS = {"NPURmsNorm": ("x", "w"), "NPUAddRmsNorm": ("x", "x", "w"), NORM[0]: NORM[1:], TURN[0]: TURN[1:]}


def of(rule: str, path: Path, chip: str = "Ascend310P3") -> list[Finding]:
    found = check(path, Conditions(target="ascend", chip=chip)).findings
    return [finding for finding in found if finding.rule == rule]


@pytest.mark.parametrize(("operator", "chip", "severity"), SUPPORT)
def test_a_chip_without_the_kernel_is_told(operator: str, chip: str, severity: str | None, tmp_path: Path) -> None:
    attributes = {"group": 2} if operator == "NPUGroupNormSilu" else {}
    path = npu(operator, *OPERANDS[operator], **attributes)(tmp_path)
    found = of("A34", path, chip)
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    assert all("--dialect ascend" in finding.fix for finding in found)
    assert not of("A21", path, chip)
    assert not of("A03", path, chip)


@pytest.mark.parametrize("name", IGNORED)
def test_what_a_plugin_reads_otherwise_is_found(name: str, tmp_path: Path) -> None:
    operands, attributes, severity = IGNORED[name]
    found = of("A35", npu(*operands, **attributes)(tmp_path))
    assert [finding.severity for finding in found] == [severity]


@pytest.mark.parametrize("name", TAKEN)
def test_what_a_plugin_reads_as_it_is_meant_is_not(name: str, tmp_path: Path) -> None:
    operands, attributes = TAKEN[name]
    assert not of("A35", npu(*operands, **attributes)(tmp_path))


def test_heads_of_another_size_are_a_warning(tmp_path: Path) -> None:
    path = npu(*TURN)(tmp_path)
    wider = onnx.load(path)
    wider.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 80
    onnx.save(wider, path)
    assert [finding.severity for finding in of("A35", path)] == ["warning"]


def test_shapes_follow_through_operators_that_onnx_does_not_know(tmp_path: Path) -> None:
    path = npu("NPUAddRmsNorm", "x", "x", "w")(tmp_path)
    graph = read(path)
    assert graph.shape("y") == graph.shape("b") == (1, 4, 2, 64)
    assert graph.dtype("y") == "float32"
    assert graph.shape("a") is None
    assert [node.op for node in graph.nodes] == ["NPUAddRmsNorm"]


def test_what_stands_behind_them_is_mended(tmp_path: Path) -> None:
    factors = {"f": np.asarray([1, 1, 2, 2], np.float32), "w": np.ones(4, np.float32)}
    modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    nodes = [
        node("NPUGroupNormSilu", "x w w", "a b c", domain="npu", group=2),
        node("Resize", "a - f", "y", **modes),
    ]
    source = built(model(nodes, constants=factors, npu=1))(tmp_path)
    assert of("A12", source)
    found = mend(source, tmp_path / "mended.onnx", Conditions(target="ascend"))
    assert found.proof.equal
    assert not [finding for finding in found.preflight.findings if finding.severity == "error"]


def test_other_operators_of_the_domain_are_looked_up_by_their_full_name(tmp_path: Path) -> None:
    assert [finding.operator for finding in of("A21", npu("NPUMish", "x")(tmp_path))] == ["NPUMish"]
    assert of("A03", npu("NPUSwiGlu", "x")(tmp_path))


def test_the_rules_and_the_converter_mean_the_same() -> None:
    assert (npu_forms.NPU, npu_forms.EPSILON, npu_forms.MULTIPLE) == (DOMAIN, EPSILON, MULTIPLE)
    assert all(opsets(DOMAIN, operator) == (1, 1) for operator in FUSED)
    families = {chip.family for chip in CHIPS.values()}
    for fused in FUSED.values():
        said = [*fused.runs_on, *fused.absent_on, *fused.doubtful]
        assert len(said) == len(set(said))
        assert set(said) <= families


def test_the_default_of_the_plugin_is_no_finding(tmp_path: Path) -> None:
    assert not of("A35", rms_norm(epsilon=1e-6)(tmp_path))
