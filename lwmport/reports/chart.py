"""The error histogram as shapes in a small coordinate system; the template turns them into inline SVG."""

import math
from dataclasses import dataclass
from typing import Final

from lwmport.reports import numbers
from lwmport.types import Tolerance
from lwmport.validators.histogram import BINS_PER_DECADE, Histogram

WIDTH: Final = 360
HEIGHT: Final = 190
LEFT: Final = 40
RIGHT: Final = 340
TOP: Final = 24
BOTTOM: Final = 152
SPECIAL: Final = 22
"""Width of the columns for "equal" and "NaN", which no logarithm has a place for."""

GAP: Final = 18
"""Between such a column and the axis, so that their labels stay apart."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A rectangle; ``style`` is its CSS class: within, beyond, equal or broken."""

    x: float
    y: float
    width: float
    height: float
    style: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A label at a place on an axis."""

    at: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Everything to draw. ``limit`` is where the absolute tolerance lies, None when it is off the axis or zero."""

    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    limit: Tick | None
    summary: str


def chart(histogram: Histogram, tolerance: Tolerance) -> Chart:
    """Return the histogram drawn over log10 of the error, counts on a log scale from 1."""
    low, high = _decades(histogram, tolerance)
    top = max(math.ceil(math.log10(max(1, histogram.zeros, histogram.incomparable, *histogram.counts))), 1)
    start = LEFT + (SPECIAL + GAP if histogram.zeros else 0)
    end = RIGHT - (SPECIAL + GAP if histogram.incomparable else 0)
    scale = (end - start) / (high - low)
    bars, ticks = _bins(histogram, tolerance, start - low * scale, scale, top), []
    if histogram.zeros:
        bars.append(_bar(LEFT, SPECIAL, histogram.zeros, top, "equal", "equal"))
        ticks.append(Tick(at=LEFT + SPECIAL / 2, label="0"))
    if histogram.incomparable:
        bars.append(_bar(RIGHT - SPECIAL, SPECIAL, histogram.incomparable, top, "broken", "NaN or infinite"))
        ticks.append(Tick(at=RIGHT - SPECIAL / 2, label="NaN"))
    step = math.ceil((high - low) / 8)
    ticks += [Tick(at=round(start + (ten - low) * scale, 2), label=f"1e{ten}") for ten in range(low, high + 1, step)]
    return Chart(
        bars=tuple(bars),
        x_ticks=tuple(ticks),
        y_ticks=_counts(top),
        limit=_limit(tolerance, start - low * scale, scale),
        summary=_summary(histogram),
    )


def _decades(histogram: Histogram, tolerance: Tolerance) -> tuple[int, int]:
    """Return the whole decades that hold the occupied bins and the tolerance."""
    edges = [histogram.start, histogram.start + len(histogram.counts)] if histogram.counts else []
    exponents = [edge / BINS_PER_DECADE for edge in edges]
    if _shown(tolerance):
        exponents.append(math.log10(tolerance.atol))
    low, high = math.floor(min(exponents, default=-8)), math.ceil(max(exponents, default=0))
    return low, max(high, low + 1)


def _bins(histogram: Histogram, tolerance: Tolerance, origin: float, scale: float, top: int) -> list[Bar]:
    bars = []
    for place, amount in enumerate(histogram.counts, start=histogram.start):
        if amount > 0:
            exponent = place / BINS_PER_DECADE
            beyond = tolerance.rtol == 0 and 10 ** (exponent + 0.5 / BINS_PER_DECADE) > tolerance.atol
            label = f"{numbers.number(10**exponent)} to {numbers.number(10 ** (exponent + 1 / BINS_PER_DECADE))}"
            style = "beyond" if beyond else "within"
            bars.append(_bar(origin + exponent * scale, scale / BINS_PER_DECADE - 1, amount, top, style, label))
    return bars


def _bar(x: float, width: float, amount: int, top: int, style: str, label: str) -> Bar:
    """Return a bar; one element is still 3 units high, for a single bad value must be seen."""
    height = 3 + (BOTTOM - TOP - 3) * math.log10(max(amount, 1)) / top
    return Bar(
        x=round(x, 2),
        y=round(BOTTOM - height, 2),
        width=round(max(width, 0.5), 2),
        height=round(height, 2),
        style=style,
        label=f"{label}: {numbers.count(amount)}",
    )


def _counts(top: int) -> tuple[Tick, ...]:
    step = math.ceil(top / 4)
    powers = range(0, top + 1, step)
    return tuple(Tick(at=round(BOTTOM - (BOTTOM - TOP) * power / top, 2), label=_power(power)) for power in powers)


def _power(exponent: int) -> str:
    return numbers.count(10**exponent) if exponent < 5 else f"1e{exponent}"


def _shown(tolerance: Tolerance) -> bool:
    return 1e-20 <= tolerance.atol <= 1e10


def _limit(tolerance: Tolerance, origin: float, scale: float) -> Tick | None:
    if not _shown(tolerance):
        return None
    return Tick(
        at=round(origin + math.log10(tolerance.atol) * scale, 2), label=f"allowed {numbers.number(tolerance.atol)}"
    )


def _summary(histogram: Histogram) -> str:
    occupied = [place for place, amount in enumerate(histogram.counts, start=histogram.start) if amount > 0]
    words = [f"{numbers.count(histogram.zeros)} values are equal"]
    if occupied:
        low, high = 10 ** (occupied[0] / BINS_PER_DECADE), 10 ** ((occupied[-1] + 1) / BINS_PER_DECADE)
        total = sum(histogram.counts)
        words.append(f"{numbers.count(total)} err by {numbers.number(low)} to {numbers.number(high)}")
    if histogram.incomparable:
        words.append(f"{numbers.count(histogram.incomparable)} are NaN or infinite")
    return ", ".join(words)
