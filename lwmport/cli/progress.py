"""Progress: a bar with rate and remaining time on a terminal, plain lines elsewhere. Always on standard error.

A request to end that was lost before takes effect where progress is shown.
"""

import sys
import time
from types import TracebackType
from typing import Any, Self

import click

from lwmport.cli.interruption import check
from lwmport.cli.output import size
from lwmport.wording import printable

STEP = 0.25
"""Part of the bytes after which a plain line is printed."""


class PlainProgress:
    """One line for each phase, and one with the rate for each quarter of its bytes."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._next = STEP
        self._first: tuple[float, int] | None = None

    def __enter__(self) -> Self:
        """Start the clock."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def phase(self, text: str) -> None:
        """Print the phase and the seconds since the start."""
        check()
        self._next, self._first = STEP, None
        click.echo(f"[{time.perf_counter() - self._start:6.1f} s] {printable(text)}", err=True)

    def progress(self, name: str, done: int, total: int) -> None:  # noqa: ARG002 - part of the protocol
        """Print a line when another quarter is done."""
        check()
        now = time.perf_counter()
        self._first = self._first or (now, done)
        if done >= self._next * total:
            self._next = done // (STEP * total) * STEP + STEP
            click.echo(f"[{now - self._start:6.1f} s]   {size(done)} of {size(total)}{self._rate(now, done)}", err=True)

    def _rate(self, now: float, done: int) -> str:
        """Return the rate since the phase began to write; what an earlier run has written does not count."""
        since, before = self._first or (now, done)
        return f", {size(int((done - before) / (now - since)))}/s" if now > since and done > before else ""


class BarProgress:
    """A bar by rich, with the rate and the remaining time; finished phases stay above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.progress import TransferSpeedColumn as Rate

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), Rate(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task: Any = None

    def __enter__(self) -> Self:
        """Draw the bar."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        self._bar.stop()

    def phase(self, text: str) -> None:
        """Print the phase and start a new bar."""
        check()
        from rich.markup import escape

        self._bar.console.print(f"[dim]{escape(printable(text))}[/dim]", highlight=False)
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = None

    def progress(self, name: str, done: int, total: int) -> None:
        """Move the bar."""
        check()
        from rich.markup import escape

        if self._task is None:
            self._task = self._bar.add_task("", total=total)
        self._bar.update(self._task, completed=done, total=total, description=escape(name[-48:]))


def progress() -> PlainProgress | BarProgress:
    """Return what fits the place that standard error goes to."""
    return BarProgress() if sys.stderr.isatty() else PlainProgress()
