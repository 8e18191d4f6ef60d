"""What is told of a run on the way: phases, quarters of the bytes, and the rate of what this run writes."""

import time
from typing import Any

import pytest

from lwmport.cli.progress import PlainProgress


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
