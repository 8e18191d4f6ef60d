"""Sizes that are none, names that a parser gives, domains that nothing uses, and shapes that values settle."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rule_cases import INT64, Build, built, model, names_of, node, one, value

from lwmport.targets.fix.mending import mend
from lwmport.targets.preflight import Conditions, check
from lwmport.types import Status

DYNAMIC = {"ascend": "A10", "aipu": "Z01", "migraphx": "M06"}


def found_in(path: Path, target: str, **conditions: Any) -> dict[str, str]:
    findings = check(path, Conditions(target=target, **conditions)).findings
    return {finding.rule: str(finding.severity) for finding in findings if finding.severity != "note"}


@pytest.mark.parametrize("size", [-1, -2, 0])
@pytest.mark.parametrize("target", DYNAMIC)
def test_a_size_that_is_not_positive_is_a_dynamic_one(target: str, size: int, tmp_path: Path) -> None:
    path = one("Relu", inputs=[value("x", [size, 4])])(tmp_path)
    assert found_in(path, target)[DYNAMIC[target]] == "error"
    assert found_in(path, target, shapes={"x": (2, 4)}) == {}


@pytest.mark.parametrize("size", [-1, 0])
def test_a_processor_takes_a_size_as_it_stands(size: int, tmp_path: Path) -> None:
    path = one("Relu", inputs=[value("x", [size, 4])])(tmp_path)
    assert check(path, Conditions(target="cpu")).status is Status.PASSED


def test_a_size_below_zero_is_fixed_like_any_other(tmp_path: Path) -> None:
    path = one("Relu", inputs=[value("x", [-1, 4])], outputs=[value("y", [-1, 4])])(tmp_path)
    mended = mend(path, tmp_path / "out.onnx", Conditions(target="ascend", shapes={"x": (2, 4)}))
    assert mended.preflight.status is Status.PASSED
    assert mended.proof.equal


NAMES: dict[str, tuple[Build, bool]] = {
    "no names": (names_of(None, None), False),
    "one name that CANN gives too": (names_of(None, "Relu_0"), True),
    "a name that CANN gives no node here": (names_of(None, "Relu_1"), False),
    "the name of an input": (names_of("x", "other"), True),
    "one name twice": (names_of("same", "same"), True),
}


@pytest.mark.parametrize("name", NAMES)
def test_only_names_that_are_repeated_are_errors(name: str, tmp_path: Path) -> None:
    build, repeated = NAMES[name]
    assert ("A06" in found_in(build(tmp_path), "ascend")) is repeated


def sliced(result: list[Any]) -> Build:
    nodes = [node("Slice", "x z e", "y")]
    ends = [value("x", [4, 8]), value("e", [1], INT64)]
    return built(model(nodes, ends, [value("y", result)], {"z": np.asarray([0])}))


@pytest.mark.parametrize(("target", "rule", "severity"), [("ascend", "A25", "warning"), ("aipu", "Z21", "error")])
def test_a_slice_to_computed_ends_is_settled_at_run_time(target: str, rule: str, severity: str, tmp_path: Path) -> None:
    assert found_in(sliced(["n", 8])(tmp_path), target)[rule] == severity
    assert rule not in found_in(sliced([2, 8])(tmp_path), target)


def test_what_follows_from_the_sizes_of_inputs_is_settled_with_them(tmp_path: Path) -> None:
    nodes = [node("Shape", "x", "s"), node("Reshape", "t s", "y")]
    path = built(model(nodes, [value("x", ["n", 4]), value("t", ["m"])], [value("y", None)]))(tmp_path)
    assert set(found_in(path, "ascend")) == {"A10"}


def test_a_domain_that_nothing_uses_is_told(tmp_path: Path) -> None:
    path = built(model([node("Relu", "x", "y")], ai__onnx__ml=2))(tmp_path)
    assert found_in(path, "ascend") == {"A36": "warning"}
    assert found_in(path, "aipu") == {"Z10": "warning"}
    mended = mend(path, tmp_path / "out.onnx", Conditions(target="ascend"))
    assert "A36" not in {finding.rule for finding in mended.preflight.findings}
