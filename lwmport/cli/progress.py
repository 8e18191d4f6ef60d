"""Progress: a bar with rate and remaining time on a terminal, plain lines elsewhere. Always on standard error.

A phase that tells nothing of its bytes shows a clock. A request to end that was lost before takes effect where progress
is shown.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import click

from lwmport.cli.interruption import check
from lwmport.cli.output import is_dumb, size
from lwmport.wording import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import ProgressColumn, Task

STEP = 0.25
"""Part of the bytes after which a plain line is printed."""

SILENCE: Final = 30.0
"""Seconds without a plain line after which one tells that the phase is still under way."""

NARROW: Final = 80
"""Columns below which a bar has no room for the name of what is written, and its rate."""


class PlainProgress:
    """One line for each phase, one with the rate for each quarter of its bytes, and one where nothing else is told."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._next = STEP
        self._first: tuple[float, int] | None = None
        self._phase = ""
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        """Start the clock."""
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the clock."""
        self._ended.set()

    def phase(self, text: str) -> None:
        """Print the phase and the seconds since the start."""
        check()
        text = printable(text)
        self._next, self._first, self._phase = STEP, None, text
        self._tell(text)

    def progress(self, name: str, done: int, total: int) -> None:  # noqa: ARG002 - part of the protocol
        """Print a line when another quarter of the bytes is done."""
        self._done(done, total, f"{size(done)} of {size(total)}", size)

    def steps(self, name: str, done: int, total: int) -> None:
        """Print a line when another quarter of the steps is done."""
        self._done(done, total, f"{done} of {total} {name}", str)

    def _done(self, done: int, total: int, told: str, shown: Callable[[int], str]) -> None:
        check()
        now = time.perf_counter()
        self._first = self._first or (now, done)
        if done >= self._next * total:
            self._next = done // (STEP * total) * STEP + STEP
            self._tell(f"  {told}{self._rate(now, done, shown)}")

    def beat(self) -> None:
        """Print that the phase is still under way, if nothing was printed for long."""
        if self._phase and time.perf_counter() - self._last >= SILENCE:
            self._tell(f"  still: {self._phase}")

    def _watch(self) -> None:
        while not self._ended.wait(SILENCE / 10):
            self.beat()

    def _tell(self, text: str) -> None:
        self._last = time.perf_counter()
        click.echo(f"[{self._last - self._start:6.1f} s] {text}", err=True)

    def _rate(self, now: float, done: int, shown: Callable[[int], str]) -> str:
        """Return the rate since the phase began to write; what an earlier run has written does not count."""
        since, before = self._first or (now, done)
        return f", {shown(int((done - before) / (now - since)))}/s" if now > since and done > before else ""


class BarProgress:
    """A line by rich: a clock while a phase tells nothing, then a bar with the rate and the remaining time.

    Finished phases stay above it.
    """

    def __init__(self, console: "Console | None" = None) -> None:
        from rich.console import Console

        from lwmport.cli.half_blocks import can_show

        self._console = console or Console(stderr=True)
        self._bar = _bar(self._console)
        self._task: Any = None
        self.picture: Callable[[Any], None] | None = self._picture if can_show(self._console) else None
        """Shows a picture above the bar, uint8 [height so far, width, 3]; None where the terminal cannot."""

    def __enter__(self) -> Self:
        """Draw the line."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the line away."""
        self._bar.stop()

    def phase(self, text: str) -> None:
        """Print the phase and start its clock."""
        check()
        from rich.markup import escape

        self._console.print(f"[dim]{escape(printable(text))}[/dim]", highlight=False)
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task("", total=None)

    def progress(self, name: str, done: int, total: int) -> None:
        """Move the bar."""
        self._move(name, done, total, "")

    def steps(self, name: str, done: int, total: int) -> None:
        """Move the bar by steps."""
        self._move("", done, total, name)

    def _picture(self, pixels: Any) -> None:
        from lwmport.cli.half_blocks import half_blocks, side_of

        self._bar.above = half_blocks(pixels, side_of(self._console))

    def _move(self, name: str, done: int, total: int, unit: str) -> None:
        check()
        from rich.markup import escape

        if self._task is None:
            self._task = self._bar.add_task("", total=total)
        self._bar.update(self._task, completed=done, total=total, description=escape(name), unit=unit)


def _bar(console: "Console") -> Any:
    """Return rich's progress with what stands above it."""
    from rich.progress import Progress

    class Bar(Progress):
        above: "RenderableType | None" = None

        def get_renderables(self) -> "Iterable[RenderableType]":
            return (*(() if self.above is None else (self.above,)), *super().get_renderables())

    return Bar(*_columns(console.width), console=console, transient=True, expand=True)


def _columns(width: int) -> "list[ProgressColumn]":
    """Return what a line shows that is so wide: it never breaks, and the clock is always there."""
    from rich import progress as columns
    from rich.table import Column

    clock, bar = columns.TimeElapsedColumn(), columns.BarColumn(bar_width=None)
    done = _known(columns.DownloadColumn(), "{0.completed:.0f} of {0.total:.0f} {1}")
    if width < NARROW:
        return [clock, bar, done]
    shortened = Column(max_width=width // 3, no_wrap=True, overflow="ellipsis")
    name = columns.TextColumn("{task.description}", table_column=shortened)
    return [
        clock,
        name,
        bar,
        done,
        _known(columns.TransferSpeedColumn(), "{0.speed:.1f}/s"),
        _known(columns.TimeRemainingColumn()),
    ]


def _known(column: "ProgressColumn", steps: str = "") -> "ProgressColumn":
    """Return a column that is empty where nobody knows how much there is to do; ``steps`` is its text for steps."""
    render = column.render

    def shown(task: "Task") -> "RenderableType":
        unit = task.fields.get("unit", "")
        if task.total is None or ("speed" in steps and unit and task.speed is None):
            return ""
        return steps.format(task, unit) if unit and steps else render(task)

    column.render = shown  # type: ignore[method-assign]
    return column


def progress() -> PlainProgress | BarProgress:
    """Return what fits the place that standard error goes to."""
    return BarProgress() if sys.stderr.isatty() and not is_dumb() else PlainProgress()
