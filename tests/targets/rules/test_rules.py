"""Every rule objects to what it should and to nothing else: a rule without both proofs is none."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from rule_cases import CASES, FORM_CASES, Case, built, loop_of, model, node, one, value, with_body

from lwmport.targets.preflight import Conditions, check
from lwmport.targets.registry import TARGETS
from lwmport.types import Status

RULES = {name: TARGETS[name].rule_table for name in TARGETS.table}
TARGET_OF = {rule.id: target for target, rules in RULES.items() for rule in rules}
BY_ID = {rule.id: rule for rules in RULES.values() for rule in rules}


def rules_found(path: Path, target: str, case: Case) -> set[str]:
    return {finding.rule for finding in check(path, Conditions(target=target, **case.conditions)).findings}


def test_every_rule_has_a_case_and_every_case_a_rule() -> None:
    assert set(CASES) == set(BY_ID)


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_finds_what_it_is_for_and_nothing_near_it(rule: str, tmp_path: Path) -> None:
    case = CASES[rule]
    assert rule in rules_found(case.bad(tmp_path), TARGET_OF[rule], case)
    assert rule not in rules_found(case.good(tmp_path), TARGET_OF[rule], case)


@pytest.mark.parametrize("name", FORM_CASES)
def test_a_rule_works_in_every_format(name: str, tmp_path: Path) -> None:
    rule, form = name.split()
    case = FORM_CASES[name]
    assert form in BY_ID[rule].forms
    assert rule in rules_found(case.bad(tmp_path), TARGET_OF[rule], case)
    assert rule not in rules_found(case.good(tmp_path), TARGET_OF[rule], case)


@pytest.mark.parametrize("target", RULES)
def test_the_table_of_a_target_is_complete(target: str) -> None:
    ids = [rule.id for rule in RULES[target]]
    assert ids == sorted(set(ids))
    for rule in RULES[target]:
        assert re.fullmatch(r"[AZMP]\d\d", rule.id)
        assert all((rule.title, rule.vendor, rule.fix, rule.source, rule.forms)), rule.id
        assert not rule.fix.endswith(".")


def test_the_severities_of_the_first_twenty_rules_of_ascend() -> None:
    warnings = {"A13", "A14", "A15", "A18"}
    for number in range(1, 21):
        rule = BY_ID[f"A{number:02}"]
        assert rule.severity == ("warning" if rule.id in warnings else "error")


@pytest.mark.parametrize("target", RULES)
def test_a_plain_model_passes_everywhere(target: str, tmp_path: Path) -> None:
    found = check(CASES["A03"].good(tmp_path), Conditions(target=target))
    assert found.status is Status.PASSED
    assert not [finding for finding in found.findings if finding.severity != "note"]


@pytest.mark.parametrize(
    ("opset", "toolkit", "expected"),
    [(14, "5.0.4", {"A01"}), (13, "5.0.4", set()), (17, "8.0", set()), (17, "", set())],
)
def test_an_old_cann_reads_older_opsets(opset: int, toolkit: str, expected: set[str], tmp_path: Path) -> None:
    found = check(one("Relu", opset=opset)(tmp_path), Conditions(target="ascend", toolkit=toolkit))
    assert {finding.rule for finding in found.findings} & {"A01"} == expected


@pytest.mark.parametrize(("precision", "expected"), [("float16", {"A11"}), ("float32", set())])
def test_masks_matter_in_half_precision_only(precision: str, expected: set[str], tmp_path: Path) -> None:
    conditions = Conditions(target="ascend", precision=precision)
    found = check(CASES["A11"].bad(tmp_path), conditions)
    assert {finding.rule for finding in found.findings} & {"A11"} == expected


@pytest.mark.parametrize(
    ("chip", "expected"), [("Ascend310P3", {"A17"}), ("Ascend910B4", set()), ("Ascend310P3vir04", {"A17"})]
)
def test_bfloat16_depends_on_the_chip(chip: str, expected: set[str], tmp_path: Path) -> None:
    found = check(CASES["A17"].bad(tmp_path), Conditions(target="ascend", chip=chip))
    assert {finding.rule for finding in found.findings} & {"A17"} == expected


def test_a_mask_that_is_multiplied_by_its_size_is_found_too(tmp_path: Path) -> None:
    constants = {"size": np.asarray(-30000.0, np.float32)}
    scaled = one("Mul", "x", "size", constants=constants, inputs=[value("x", [1, 2])])(tmp_path)
    assert "Z09" in {finding.rule for finding in check(scaled, Conditions(target="aipu")).findings}


def test_given_shapes_settle_a_dynamic_input(tmp_path: Path) -> None:
    path = CASES["A10"].bad(tmp_path)
    found = check(path, Conditions(target="ascend", shapes={"x": (2, 4)}))
    assert found.status is Status.PASSED


def test_a_loop_of_constant_length_is_only_noted(tmp_path: Path) -> None:
    found = check(loop_of(constant=True)(tmp_path), Conditions(target="aipu"))
    assert [str(finding.severity) for finding in found.findings if finding.rule == "Z03"] == ["note"]


def test_an_if_is_a_warning_for_ascend(tmp_path: Path) -> None:
    found = check(with_body("If")(tmp_path), Conditions(target="ascend"))
    assert [str(finding.severity) for finding in found.findings if finding.rule == "A05"] == ["warning"]


MASK = np.asarray([0, -1e9], np.float32)


@pytest.mark.parametrize(
    "attributes",
    [{"value": onnx.numpy_helper.from_array(MASK, name)} for name in ("", "mask", "other")]
    + [{"value_floats": MASK.tolist()}, {"value_float": -1e9}],
)
@pytest.mark.parametrize("target", ["ascend", "aipu", "migraphx"])
def test_a_constant_node_is_a_constant_like_another(target: str, attributes: dict[str, Any], tmp_path: Path) -> None:
    nodes = [node("Constant", "", "mask", **attributes), node("Add", "x mask", "y")]
    path = built(model(nodes, [value("x", [1, 2])]))(tmp_path)
    found = check(path, Conditions(target=target))
    rules = {finding.rule for finding in found.findings}
    assert not rules & {"A33", "Z23", "M21"}
    assert {"ascend": "A11", "aipu": "Z09"}.get(target, "") in rules | {""}


def test_a_constant_node_behind_its_reader_is_no_whole_graph(tmp_path: Path) -> None:
    nodes = [node("Add", "x mask", "y"), node("Constant", "", "mask", value_floats=MASK.tolist())]
    path = built(model(nodes, [value("x", [1, 2])]))(tmp_path)
    assert "A33" in {finding.rule for finding in check(path, Conditions(target="ascend")).findings}


def test_a_mask_that_is_filled_in_is_found_too(tmp_path: Path) -> None:
    filled = onnx.numpy_helper.from_array(MASK[1:], "")
    nodes = [node("ConstantOfShape", "s", "mask", value=filled), node("Add", "x mask", "y")]
    path = built(model(nodes, [value("x", [1, 2])], constants={"s": np.asarray([1, 2])}))(tmp_path)
    assert "A11" in {finding.rule for finding in check(path, Conditions(target="ascend")).findings}


@pytest.mark.parametrize(("target", "rule"), [("aipu", "Z21"), ("migraphx", "M07")])
def test_a_resize_to_a_computed_size_is_settled_at_run_time(target: str, rule: str, tmp_path: Path) -> None:
    nodes = [node("Resize", "x - scales", "y", mode="nearest")]
    ends = [value("x", [1, 4, 8, 8]), value("scales", [4])]
    path = built(model(nodes, ends, [value("y", [1, 4, 16, 16])]))(tmp_path)
    assert rule in {finding.rule for finding in check(path, Conditions(target=target)).findings}


EMPTY = onnx.numpy_helper.from_array(np.zeros(0, np.float32), "")


def test_a_constant_without_elements_is_no_result_without_them(tmp_path: Path) -> None:
    nodes = [node("Constant", "", "roi", value=EMPTY), node("Resize", "x roi scales", "y", mode="nearest")]
    scales = {"scales": np.asarray([1, 1, 2, 2], np.float32)}
    path = built(model(nodes, [value("x", [1, 4, 8, 8])], constants=scales))(tmp_path)
    assert "A19" not in {finding.rule for finding in check(path, Conditions(target="ascend")).findings}
