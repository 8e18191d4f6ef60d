"""What is told of a run on the way: phases, quarters of the bytes, and the rate of what this run writes."""

import io
import sys
import threading
import time
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from lwmport.cli.main import cli
from lwmport.cli.progress import BarProgress, PlainProgress, progress


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(time, "perf_counter", found)
    return found


def test_every_quarter_is_told_once_with_its_rate(clock: Clock, capsys: Any) -> None:
    heard = PlainProgress()
    heard.phase("write")
    for step in range(11):
        clock.now = float(step)
        heard.progress("x", step * 100_000_000, 1_000_000_000)
    assert capsys.readouterr().err.splitlines() == [
        "[   0.0 s] write",
        "[   3.0 s]   300.0 MB of 1.0 GB, 100.0 MB/s",
        "[   5.0 s]   500.0 MB of 1.0 GB, 100.0 MB/s",
        "[   8.0 s]   800.0 MB of 1.0 GB, 100.0 MB/s",
        "[  10.0 s]   1.0 GB of 1.0 GB, 100.0 MB/s",
    ]


def test_steps_are_told_by_their_number(clock: Clock, capsys: Any) -> None:
    heard = PlainProgress()
    heard.phase("generate")
    for step in range(9):
        clock.now = step / 2
        heard.steps("tokens", step, 8)
    assert capsys.readouterr().err.splitlines()[1:] == [
        "[   1.0 s]   2 of 8 tokens, 2/s",
        "[   2.0 s]   4 of 8 tokens, 2/s",
        "[   3.0 s]   6 of 8 tokens, 2/s",
        "[   4.0 s]   8 of 8 tokens, 2/s",
    ]


def test_a_bar_shows_steps_by_their_number() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with BarProgress(console) as heard:
        heard.phase("generate")
        heard.steps("tokens", 3, 8)
        heard._bar.refresh()
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert "3 of 8 tokens" in written
    assert "bytes" not in written


def test_what_an_earlier_run_has_written_counts_for_no_rate(clock: Clock, capsys: Any) -> None:
    heard = PlainProgress()
    heard.phase("write")
    heard.progress("x", 600_000_000, 1_000_000_000)
    clock.now = 4.0
    heard.progress("y", 1_000_000_000, 1_000_000_000)
    assert capsys.readouterr().err.splitlines()[1:] == [
        "[   0.0 s]   600.0 MB of 1.0 GB",
        "[   4.0 s]   1.0 GB of 1.0 GB, 100.0 MB/s",
    ]


def test_a_phase_that_tells_nothing_is_told_to_be_under_way(clock: Clock, capsys: Any) -> None:
    heard = PlainProgress()
    heard.phase("run the reference")
    for now in (10.0, 30.0, 40.0, 59.0, 60.0):
        clock.now = now
        heard.beat()
    assert capsys.readouterr().err.splitlines() == [
        "[   0.0 s] run the reference",
        "[  30.0 s]   still: run the reference",
        "[  60.0 s]   still: run the reference",
    ]


def test_its_clock_ends_with_it() -> None:
    before = {*threading.enumerate()}  # one of an earlier test may end meanwhile
    with PlainProgress() as heard:
        assert len({*threading.enumerate()} - before) == 1
    heard.beat()
    assert heard._ended.is_set()


def lines_of(width: int, *, total: int | None) -> list[str]:
    """Return what a terminal of so many columns shows in a phase, by drawing on one that is none."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width, no_color=True, legacy_windows=False)
    heard = BarProgress(console)
    heard.phase("write")
    if total is not None:
        heard.progress("vision-llama-prefill-weights.onnx.data/model/layers/31/mlp", total // 2, total)
    drawn = Console(file=io.StringIO(), width=width, no_color=True)
    drawn.print(heard._bar.get_renderable())
    return drawn.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("width", [50, 79, 80, 120])
@pytest.mark.parametrize("total", [None, 27_000_000_000])
def test_a_bar_is_one_line_whatever_the_width(width: int, total: int | None) -> None:
    (line,) = lines_of(width, total=total)
    assert len(line) <= width
    assert "0:00:00" in line, "the clock"
    assert "━" in line or "╸" in line or "-" in line, "the bar"
    assert ("13.5/27.0 GB" in line) is (total is not None)
    assert "?" not in line.replace("? -:--:--", ""), "what nobody knows is not told"


@pytest.mark.parametrize(("terminal", "kind"), [("xterm", BarProgress), ("dumb", PlainProgress)])
def test_a_dumb_terminal_gets_lines(terminal: str, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", terminal)
    assert isinstance(progress(), kind)


@pytest.mark.parametrize(
    ("setting", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_no_colour_where_none_is_wanted(
    setting: dict[str, str],
    coloured: bool,  # noqa: FBT001 - a parameter of the test
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(cli, ["list"], color=True)
    assert ("\x1b[" in done.stdout) is coloured
