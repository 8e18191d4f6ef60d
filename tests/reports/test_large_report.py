"""A language model of 32 layers gives 325 outputs: the page, the Markdown and the terminal stay short."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lwmport.cli import outcome
from lwmport.reports import render
from lwmport.reports.answer import answered
from lwmport.reports.cases import ROWS, apart, cases_of, limits, shown_cases
from lwmport.reports.files import read_report, write_report
from lwmport.reports.record import ComponentReport, Report, validation_digest
from lwmport.types import Status, TensorDiff
from lwmport.validators.outputs import summarise

CASES = ("prefill", "continuation", "decode", "padded prefill", "padded decode")
LAYERS = 32
WORST = "present.7.key"


def large(report: Report, *, broken: int = 0, components: int = 1) -> Report:
    """Return a report on 5 cases of 65 outputs, of which the first ``broken`` of the second case failed."""
    part = report.components[1]
    model = part.validation.diffs[0]
    names = ["logits", *(f"present.{layer}.{side}" for layer in range(LAYERS) for side in ("key", "value"))]
    diffs = tuple(
        diff_of(model, f"{case}/{name}", failed=case == CASES[1] and place < broken)
        for case in CASES
        for place, name in enumerate(names)
    )
    status, reason = summarise(diffs)
    validation = dataclasses.replace(part.validation, diffs=diffs, status=status, reason=reason)
    links = tuple(
        dataclasses.replace(link, sha256=validation_digest(validation)) if link.name == "validation" else link
        for link in part.digests
    )
    spec = part.signature.outputs[0]
    outputs = tuple(dataclasses.replace(spec, name=name) for name in names)
    signature = dataclasses.replace(part.signature, inputs=outputs, outputs=outputs)
    operators = {f"Operator{number}": 100 - number for number in range(40)}
    artifact = dataclasses.replace(part.artifact, operators=operators)
    made = dataclasses.replace(
        part, validation=validation, signature=signature, galleries=(), digests=links, artifact=artifact,
        notes=tuple(f"Note {number}." for number in range(40)),
    )  # fmt: skip
    return answered(dataclasses.replace(report, components=(made,) * components))


def diff_of(model: TensorDiff, name: str, *, failed: bool) -> TensorDiff:
    used = 0.5 if name.endswith(WORST) else 0.1
    metrics = {**model.metrics, "tolerance_used": 3.0 if failed else used}
    status = Status.FAILED if failed else Status.PASSED
    return dataclasses.replace(model, name=name, metrics=metrics, status=status, reason="far off" if failed else "near")


@pytest.mark.parametrize("components", [1, 8])
def test_the_files_stay_small(good: Any, tmp_path: Path, components: int) -> None:
    report = large(good.report, components=components)
    write_report(report, tmp_path)
    assert read_report(tmp_path) == report
    assert (tmp_path / "report.md").stat().st_size < 60_000
    assert (tmp_path / "report.html").stat().st_size < 2_000_000


def test_every_output_is_on_the_page_and_one_row_a_case_is_first(good: Any) -> None:
    report = large(good.report)
    markup, described = render.html(report, {}), render.markdown(report)
    first = markup.partition("<nav")[0]
    for case in CASES:
        assert f'<th scope="row">{case}<br>' in first
        assert f"| {case} | passed | 65 of 65 | {WORST} |" in described
    assert "prefill/present.31.value" in markup
    assert "315 further outputs, 315 of them passed" not in described, "5 worst of 325 are shown in full"
    assert "320 further outputs, 320 of them passed" in described


def test_what_failed_is_shown_before_what_is_folded(good: Any) -> None:
    part = large(good.report, broken=3).components[0]
    full, rest = apart(part)
    names = [diff.name for diff in full]
    assert [name for name in names if name.startswith("continuation")] == [
        "continuation/logits", "continuation/present.0.key", "continuation/present.0.value",
    ]  # fmt: skip
    assert len(full) + len(rest) == 325
    assert all(diff.status is Status.PASSED for diff in rest)


def test_many_failures_are_listed_and_not_shown_in_full(good: Any) -> None:
    report = large(good.report, broken=65)
    full, rest = apart(report.components[0])
    assert len(full) == ROWS
    assert sum(diff.status is Status.FAILED for diff in rest) == 65 - ROWS
    assert len(report.sentence) < 600
    assert len(render.markdown(report).encode()) < 60_000


def test_a_case_knows_its_worst_output_and_its_worst_layer(good: Any) -> None:
    case = cases_of(large(good.report, broken=1).components[0])[1]
    assert (case.name, case.status, case.passed) == ("continuation", Status.FAILED, 64)
    assert case.worst.name == "continuation/logits"
    assert case.worst_layer is not None
    assert case.worst_layer.name == f"continuation/{WORST}"
    assert case.sentence == f"continuation: 64 of 65 outputs, worst: logits, far off; worst layer: {WORST}"


def test_rows_of_many_cases_are_folded_but_for_the_worst(good: Any) -> None:
    part: ComponentReport = large(good.report, broken=1).components[0]
    many = cases_of(part) * 10
    shown, left = shown_cases(many)
    assert (len(shown), len(left)) == (ROWS, 38)
    assert [case.status for case in shown].count(Status.FAILED) == 10


def test_a_tolerance_is_told_once(good: Any) -> None:
    (limit,) = limits(large(good.report).components)
    assert limit.whose == "prefill/logits and 324 more"


def test_the_terminal_shows_a_row_a_case_and_the_banner_last(good: Any, capsys: pytest.CaptureFixture[str]) -> None:
    report = large(good.report)
    manifest = SimpleNamespace(components=(), choices=(), weights={"description": "seed 0", "kind": "seeded"})
    found = SimpleNamespace(
        report=report, manifest=manifest, status=report.status, seconds=0, failures=(), out=Path("out")
    )
    code = outcome.show(found, Path("out"), as_json=False)  # type: ignore[arg-type]
    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert len(lines) < 24
    assert lines[-1] == f"PASSED  {report.sentence}"
    assert len([line for line in lines if "65 of 65 outputs" in line]) == 5
