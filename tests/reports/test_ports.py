"""The index of many ports has one verdict, which follows from those of the ports."""

import json
from pathlib import Path

import pytest

from lwmport.reports.ports import PortReport, PortRow, StageFact, write_index
from lwmport.types import Status

P, F, N = Status.PASSED, Status.FAILED, Status.NOT_JUDGED


def report_on(*statuses: Status) -> PortReport:
    stages = (StageFact(name="convert", status=P, reason="done"), StageFact(name="compile", status=P, reason="done"))
    rows = tuple(
        PortRow(
            name=f"job-{number}", title=f"Port {number}", target="cpu", status=status, sentence="Said.", stages=stages,
            seconds=1.0, peak_bytes=None, estimate_bytes=1,
        )
        for number, status in enumerate(statuses)
    )  # fmt: skip
    return PortReport(jobs=rows, workers=1, memory=1)


@pytest.mark.parametrize(
    ("statuses", "verdict", "sentence"),
    [
        ((P, P), P, "2 of 2 ports passed."),
        ((P, N), N, "1 of 2 ports passed; 1 not judged."),
        ((N, F, N), F, "0 of 3 ports passed; 1 failed; 2 not judged."),
        ((P, F), F, "1 of 2 ports passed; 1 failed."),
    ],
)
def test_one_failure_decides_then_one_that_was_not_judged(
    statuses: tuple[Status, ...], verdict: Status, sentence: str, tmp_path: Path
) -> None:
    report = report_on(*statuses)
    assert (report.status, report.sentence) == (verdict, sentence)
    write_index(report, tmp_path)
    told = json.loads((tmp_path / "index.json").read_text())
    assert (told["status"], told["sentence"]) == (verdict, sentence)
    assert f"**{verdict.upper()}.** {sentence}" in (tmp_path / "index.md").read_text()
    page = (tmp_path / "index.html").read_text()
    assert f"<title>{verdict.capitalize()}: {sentence}</title>" in page
    words = str(verdict).replace(" ", "-")
    assert f'<div class="verdict {words}">' in page
    assert page.count(f'<span class="pill {words}">{verdict.capitalize()}</span>') >= statuses.count(verdict)
