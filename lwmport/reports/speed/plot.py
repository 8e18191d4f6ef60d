"""Lines over the batch as shapes in a small coordinate system; the template turns them into inline SVG."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from lwmport.reports import numbers
from lwmport.reports.speed.record import BenchRow

WIDTH: Final = 420
HEIGHT: Final = 220
LEFT: Final = 60
RIGHT: Final = 400
TOP: Final = 16
BOTTOM: Final = 180
TICKS: Final = 4


@dataclass(frozen=True, kw_only=True)
class Line:
    """One pair of lengths: the points of a line, as ``x,y`` pairs, and its title."""

    title: str
    points: str
    dots: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One figure: its title, its lines, and (place, label) on both axes."""

    title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def plots(rows: Sequence[BenchRow]) -> tuple[Plot, ...]:
    """Return the figures of some rows: rate, latency and memory over the batch."""
    wanted: tuple[tuple[str, Callable[[BenchRow], float | None], Callable[[float], str]], ...] = (
        ("Tokens or items a second", lambda row: row.rate, numbers.number),
        ("p90 of the next token, or of a run", lambda row: row.latency, numbers.seconds),
        ("Peak memory", lambda row: row.peak_bytes, lambda value: numbers.size(round(value))),
    )
    found = (_plot(title, rows, value, show) for title, value, show in wanted)
    return tuple(plot for plot in found if plot is not None)


def _plot(
    title: str,
    rows: Sequence[BenchRow],
    value: Callable[[BenchRow], float | None],
    show: Callable[[float], str],
) -> Plot | None:
    points = [(row, found) for row in rows if (found := value(row)) is not None]
    if not points:
        return None
    widest, highest = max(row.batch for row, _ in points), max(found for _, found in points) or 1.0
    lines: dict[str, list[tuple[float, float, str]]] = {}
    for row, found in points:
        x = LEFT + (RIGHT - LEFT) * row.batch / widest
        y = BOTTOM - (BOTTOM - TOP) * found / highest
        label = f"batch {row.batch}: {show(found)}"
        lines.setdefault(title_of(row), []).append((round(x, 1), round(y, 1), label))
    return Plot(
        title=title,
        lines=tuple(
            Line(title=name, points=" ".join(f"{x},{y}" for x, y, _ in dots), dots=tuple(dots))
            for name, dots in lines.items()
        ),
        x_ticks=tuple(
            (round(LEFT + (RIGHT - LEFT) * batch / widest, 1), str(batch))
            for batch in sorted({max(1, round(widest * part / TICKS)) for part in range(1, TICKS + 1)})
        ),
        y_ticks=tuple(
            (round(BOTTOM - (BOTTOM - TOP) * part / TICKS, 1), show(highest * part / TICKS))
            for part in range(TICKS + 1)
        ),
    )


def title_of(row: BenchRow) -> str:
    """Return the lengths of a row in words."""
    return f"{row.input} in, {row.output} out" if row.input else "one run"
