"""The report's section on what a target says about an artifact."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lwmport.errors import ArtifactError
from lwmport.reports import render
from lwmport.reports.files import read_report, write_report
from lwmport.reports.record import Report
from lwmport.types import Finding, Preflight, Severity, Status


def finding(severity: Severity, place: str = "norm") -> Finding:
    return Finding(
        rule="A03",
        severity=severity,
        title="operator without a parser",
        where=place,
        operator="GroupNormalization",
        found="no parser at any opset",
        vendor="E16002",
        fix="write it as other operators",
        fixable=True,
    )


def with_findings(report: Report, *findings: Finding) -> Report:
    failed = any(item.severity is Severity.ERROR for item in findings)
    found = Preflight(
        artifact="x.onnx",
        target="ascend",
        chip="Ascend310P3",
        status=Status.FAILED if failed else Status.PASSED,
        findings=findings,
    )
    return replace(report, components=(replace(report.components[0], preflight=found), *report.components[1:]))


def test_findings_are_shown_and_come_back(good: Any, tmp_path: Path) -> None:
    report = with_findings(good.report, finding(Severity.ERROR), finding(Severity.NOTE, "other"))
    write_report(report, tmp_path, good.files)
    assert read_report(tmp_path) == report
    for name in ("report.html", "report.md"):
        text = (tmp_path / name).read_text()
        assert "Preflight" in text
        assert "no parser at any opset" in text


def test_what_a_file_says_is_no_markup(good: Any) -> None:
    report = with_findings(good.report, finding(Severity.ERROR, "<script>|`x`"))
    assert "<script>|" not in render.html(report, good.files)
    assert "<script>|" not in render.markdown(report)


def test_a_long_list_is_cut_and_says_so(good: Any) -> None:
    report = with_findings(good.report, *(finding(Severity.NOTE, f"node{i}") for i in range(80)))
    for text in (render.html(report, good.files), render.markdown(report)):
        assert "The first 50 of 80" in text
        assert "node60" not in text


def test_without_a_target_there_is_no_section(good: Any) -> None:
    assert "Preflight" not in render.html(good.report, good.files)


def test_a_verdict_that_does_not_follow_is_refused(good: Any, tmp_path: Path) -> None:
    write_report(with_findings(good.report, finding(Severity.ERROR)), tmp_path, good.files)
    value = json.loads((tmp_path / "report.json").read_text())
    value["components"][0]["preflight"]["status"] = "passed"
    (tmp_path / "report.json").write_text(json.dumps(value))
    with pytest.raises(ArtifactError, match="preflight"):
        read_report(tmp_path)
