"""Two runs beside each other: what failed since, what grew, and nothing where nothing did."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_ports import matrix, report_on

from lwmport.reports.port_index import write_index
from lwmport.reports.ports import PortReport, PortRow, read_index
from lwmport.reports.trend_record import Change, Trends
from lwmport.reports.trends import trends
from lwmport.types import Status


def changed(**fields: Any) -> PortReport:
    """Return the matrix with one row changed, which is the second."""
    report = matrix()
    first, second, *rest = report.jobs
    return replace(report, jobs=(first, replace(second, **fields), *rest))


def error(value: float) -> Any:
    """Return the outputs of the second row with one error changed."""
    one, *rest = matrix().jobs[1].outputs
    return (replace(one, error=value), *rest)


def only(found: Trends) -> Change:
    (change,) = found.changes
    return change


def test_equal_runs_have_no_changes() -> None:
    found = trends(matrix(), matrix(), "before")
    assert found.changes == ()
    assert found.sentence == "Against before: nothing changed (8 ports compared)."


def test_what_passed_and_fails_now_comes_first() -> None:
    found = trends(changed(status=Status.PASSED, seconds=10.0), changed(status=Status.FAILED), "before")
    assert [(change.kind, change.before, change.now, change.worse) for change in found.changes] == [
        ("verdict", "passed", "failed", True), ("seconds", "10 s", "20 s", True),
    ]  # fmt: skip
    assert found.sentence == (
        "Against before: 1 passed before and does not now; 1 port took longer (8 ports compared)."
    )


@pytest.mark.parametrize(
    ("before", "now", "worse"),
    [
        (Status.PASSED, Status.NOT_JUDGED, True),
        (Status.NOT_JUDGED, Status.FAILED, True),
        (Status.FAILED, Status.NOT_JUDGED, False),
        (Status.FAILED, Status.PASSED, False),
    ],
)
def test_every_other_verdict_is_better_or_worse(before: Status, now: Status, worse: bool) -> None:  # noqa: FBT001
    assert only(trends(changed(status=before), changed(status=now), "before")).worse is worse


@pytest.mark.parametrize(
    ("fields", "kind", "shown", "factor"),
    [
        ({"outputs": error(5e-5)}, "error", ("1e-5", "5e-5"), 5.0),
        ({"outputs": error(math.nan)}, "error", ("1e-5", "NaN"), None),
        ({"outputs": error(math.inf)}, "error", ("1e-5", "∞"), None),
        ({"files": {"models": 2000, "bundle": 500}}, "files", ("1 kB", "2 kB"), 2.0),
        ({"seconds": 30.0}, "seconds", ("20 s", "30 s"), 1.5),
        ({"peak_bytes": 8 * 10**8}, "memory", ("400 MB", "800 MB"), 2.0),
    ],
)
def test_what_grew_is_told_and_what_shrank_is_better(
    fields: dict[str, Any], kind: str, shown: tuple[str, str], factor: float | None
) -> None:
    change = only(trends(matrix(), changed(**fields), "before"))
    assert (change.kind, change.before, change.now, change.worse) == (kind, *shown, True)
    assert change.factor == (None if factor is None else pytest.approx(factor))
    back = only(trends(changed(**fields), matrix(), "before"))
    assert (back.kind, back.worse) == (kind, False)


@pytest.mark.parametrize(
    "fields",
    [
        {"outputs": error(1.05e-5)}, {"files": {"models": 1001, "bundle": 500}}, {"seconds": 20.9},
        {"peak_bytes": 4.5 * 10**8}, {"files": {"models": 1000}}, {"outputs": ()},
    ],
)  # fmt: skip
def test_what_is_noise_or_was_not_there_is_no_change(fields: dict[str, Any]) -> None:
    assert trends(matrix(), changed(**fields), "before").changes == ()


def test_ports_that_are_new_or_gone_are_told() -> None:
    found = trends(matrix(), changed(name="other", title="Other"), "before")
    assert [(change.kind, change.title, change.worse) for change in found.changes] == [
        ("gone", "encoder to ascend in float16", True), ("new", "Other", False),
    ]  # fmt: skip
    assert found.sentence == "Against before: 1 port is new; 1 port is gone (7 ports compared)."


@pytest.mark.parametrize("count", [1, 2])
def test_numbers_and_words_fit(count: int) -> None:
    def grown(row: PortRow, place: int) -> PortRow:
        return replace(row, seconds=50.0, files={"models": 9000}) if place < count else row

    now = replace(matrix(), jobs=tuple(grown(row, place) for place, row in enumerate(matrix().jobs)))
    words = {1: "1 set of files grew; 1 port took longer", 2: "2 sets of files grew; 2 ports took longer"}
    assert words[count] in trends(matrix(), now, "before").sentence


def test_page_markdown_and_json_tell_what_changed(tmp_path: Path) -> None:
    found = trends(matrix(), changed(seconds=30.0), "earlier_run")
    write_index(replace(changed(seconds=30.0), trends=found), tmp_path)
    page, described = ((tmp_path / name).read_text() for name in ("index.html", "index.md"))
    assert page.partition("<nav")[0].count(found.sentence) >= 1
    assert '<section class="part" id="trends">' in page
    assert "| encoder to ascend in float16 | seconds, worse | 20 s | 30 s | 1.5 |" in described
    assert json.loads((tmp_path / "index.json").read_text())["trends"]["changes"][0]["factor"] == 1.5
    assert read_index(tmp_path).trends == found


def test_without_an_earlier_run_nothing_is_said_of_one(tmp_path: Path) -> None:
    write_index(report_on(Status.PASSED), tmp_path)
    assert "earlier" not in (tmp_path / "index.html").read_text() + (tmp_path / "index.md").read_text()
