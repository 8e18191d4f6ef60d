"""The index of many ports has one verdict, which follows from those of the ports."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lwmport.errors import ArtifactError
from lwmport.reports.port_index import write_index
from lwmport.reports.ports import OutputFact, PortReport, PortRow, StageFact, read_index
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


def matrix() -> PortReport:
    """Return two components for two targets in two precisions, one of which failed."""
    model, *_ = report_on(P).jobs
    rows = [
        replace(
            model, name=f"{part}-{target}-{precision}", title=f"{part} to {target} in {precision}", component=part,
            target=target, precision=precision, format="onnx", dialect="", files={"models": 1000, "bundle": 500},
            status=F if (part, target, precision) == ("encoder", "ascend", "float16") else P, seconds=20.0,
            peak_bytes=4 * 10**8,
            outputs=(OutputFact(component=part, name="prefill: logits", status=P, error=1e-5, used=0.1),
                     OutputFact(component=part, name="decode: logits", status=P, error=1e-6, used=0.3)),
        )
        for part in ("encoder", "decoder") for target in ("ascend", "cpu") for precision in ("float32", "float16")
    ]  # fmt: skip
    return PortReport(jobs=tuple(rows), workers=1, memory=10**9)


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


def test_an_index_comes_back_from_its_folder_and_from_its_file(tmp_path: Path) -> None:
    report = matrix()
    write_index(report, tmp_path)
    assert read_index(tmp_path) == read_index(tmp_path / "index.json") == report


def test_an_index_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    write_index(report_on(P, F), tmp_path)
    value = json.loads((tmp_path / "index.json").read_text())
    new = ("component", "format", "dialect", "precision", "soc", "files", "outputs")
    value["jobs"] = [{name: item for name, item in row.items() if name not in new} for row in value["jobs"]]
    del value["trends"]
    (tmp_path / "index.json").write_text(json.dumps(value))
    assert read_index(tmp_path) == report_on(P, F)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "expected the index.json of an earlier run of 'lwmport port' at .*, found: No such file"),
        ("{", "expected an index as JSON, found damage"),
        ("[]", "expected the format lwmport-index/1, found another file"),
        ('{"format": "lwmport-index/1", "jobs": 3, "workers": 1, "memory": 1}', "index.json.jobs: expected a list"),
    ],
)
def test_what_is_no_index_costs_one_line(content: str | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "index.json").write_text(content)
    with pytest.raises(ArtifactError, match=said) as caught:
        read_index(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_worst_output_is_in_the_row(tmp_path: Path) -> None:
    write_index(matrix(), tmp_path)
    assert "1e-6<br>" in (tmp_path / "index.html").read_text()
    assert "30 % of allowed" in (tmp_path / "index.html").read_text()
    row = "| encoder to cpu in float32 | passed | passed | passed | 1e-6 | 30 % | 1.5 kB | 20 s | 400 MB |"
    assert row in (tmp_path / "index.md").read_text()


def test_of_one_port_there_is_nothing_to_choose(tmp_path: Path) -> None:
    write_index(report_on(P), tmp_path)
    assert "<select" not in (tmp_path / "index.html").read_text()
