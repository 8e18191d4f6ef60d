"""JUnit XML: one verdict a test case, one test case with the verdict of the whole."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from bisections import bisection, taps
from test_ports import report_on

from lwmport.reports.junit import Result, document, is_ours
from lwmport.reports.junit_results import of_bisection, of_components, of_port, of_preflights
from lwmport.types import Finding, Preflight, Severity, Status
from lwmport.verdicts import Fault

TAGS = {Status.FAILED: "failure", Status.NOT_JUDGED: "error", Status.SKIPPED: "skipped"}


def parsed(results: list[Result]) -> ET.Element:
    return ET.fromstring(document("suite", results))  # noqa: S314 - our own document


def verdicts(results: list[Result]) -> list[tuple[str, Status]]:
    return [(one.name, one.status) for one in results]


def test_each_verdict_is_an_element_and_is_counted() -> None:
    found = parsed([Result(group="g", name=str(status), status=status, message="why") for status in Status])
    (suite,) = found
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4", "failures": "1", "errors": "1", "skipped": "1",
    }  # fmt: skip
    cases = {case.get("name"): case for case in suite}
    assert len(cases["passed"]) == 0
    for status, tag in TAGS.items():
        (inner,) = cases[status]
        assert (inner.tag, inner.get("message"), inner.text) == (tag, "why", "why")


def test_what_xml_cannot_hold_is_replaced() -> None:
    name = "a\x00\x1b[2J\ufffe\ud800]]>&<b>\"'"
    (suite,) = parsed([Result(group=name, name=name, status=Status.FAILED, message=name)])
    assert suite[0].get("name") == r"a\x00\x1b[2J\ufffe\ud800]]>&<b>" + "\"'"
    assert suite[0][0].text == suite[0].get("name")


def test_a_document_of_ours_is_known(tmp_path: Path) -> None:
    (tmp_path / "ours.xml").write_bytes(document("suite", []))
    (tmp_path / "other.xml").write_text("<testsuites/>")
    assert [is_ours(tmp_path / name) for name in ("ours.xml", "other.xml")] == [True, False]


def test_seconds_are_told_where_they_are_known() -> None:
    (suite,) = parsed([Result(group="g", name="n", status=Status.PASSED, seconds=1.25)])
    assert suite[0].get("time") == "1.250"


def test_a_report_has_a_test_case_for_each_component(good: Any, bad: Any) -> None:
    assert {one.status for one in of_components(good.report.components)} == {Status.PASSED}
    assert [one.group for one in of_components(good.report.components)] == ["vqgan.encoder", "vqgan.decoder"]
    failed = of_components(bad.report.components)
    assert [one.status for one in failed] == [Status.FAILED, Status.FAILED]
    assert "codebook_indices" in failed[0].message


def test_what_is_wrong_with_files_is_a_test_case_of_its_own(good: Any) -> None:
    part = replace(good.report.components[0], faults=(Fault(status=Status.FAILED, reason="another digest"),))
    first, second = of_components([part])
    assert (first.name, first.status, first.message) == ("verdict", Status.FAILED, "another digest")
    assert second.status is Status.PASSED


def test_a_port_has_a_test_case_for_each_stage_and_one_for_a_verdict_that_no_stage_has() -> None:
    rows = report_on(Status.PASSED, Status.NOT_JUDGED).jobs
    found = [one for row in rows for one in of_port(row.title, row.stages, row.status, row.sentence)]
    assert verdicts(found) == [
        ("convert", Status.PASSED), ("compile", Status.PASSED),
        ("verdict", Status.NOT_JUDGED), ("convert", Status.PASSED), ("compile", Status.PASSED),
    ]  # fmt: skip


@pytest.mark.parametrize("severity", [Severity.ERROR, Severity.WARNING])
def test_a_preflight_fails_with_the_rules_that_are_broken(severity: Severity) -> None:
    finding = Finding(rule="A1", severity=severity, title="Too large", where="x", operator="Conv", found="5", vendor="",
                      fix="")  # fmt: skip
    status = Status.FAILED if severity is Severity.ERROR else Status.PASSED
    (one,) = of_preflights([Preflight(artifact="m.onnx", target="ascend", chip="", status=status, findings=(finding,))])
    assert (one.group, one.name, one.status) == ("ascend", "m.onnx", status)
    assert one.message == ("A1 Too large: 5 x" if severity is Severity.ERROR else "")


def test_a_bisection_fails_at_the_output_and_at_the_tap() -> None:
    found = [one for one in of_bisection(bisection()) if one.status is not Status.PASSED]
    assert [(one.group, one.name) for one in found] == [
        ("llama-prefill.outputs", "logits"), ("llama-prefill.taps", "layers.2.key"),
    ]  # fmt: skip
    assert "transpose the weight" in found[1].message


@pytest.mark.parametrize("strict", [True, False])
def test_a_harmless_error_fails_a_strict_bisection_alone(strict: bool) -> None:  # noqa: FBT001
    quiet = tuple(replace(tap, harmless=tap.enters) for tap in taps(4, 2))
    found = bisection(wrong=None, taps=quiet, strict=strict, status=Status.FAILED if strict else Status.PASSED)
    assert [one.status for one in of_bisection(found)].count(Status.FAILED) == strict


def test_a_bisection_that_was_not_judged_is_an_error() -> None:
    found = bisection(status=Status.NOT_JUDGED, first=None, taps=(), outputs=(), reason="the runtime gave up")
    assert [(one.name, one.status, one.message) for one in of_bisection(found)] == [
        ("verdict", Status.NOT_JUDGED, "Not judged: the runtime gave up.")
    ]
