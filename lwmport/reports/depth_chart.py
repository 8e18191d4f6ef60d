"""SQNR over depth as shapes in a small coordinate system; the template turns them into inline SVG.

One curve is of the whole model, the other of operators that ran on the reference's own inputs. The axis is decibels,
so it is logarithmic. Two rows beside it are for what no decibel says: equal tensors, and those that are not finite.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from lwmport.reports import numbers
from lwmport.reports.bisect_words import decibels
from lwmport.reports.bisection import Bisection, Measured, Tap
from lwmport.reports.chart import Tick
from lwmport.reports.tap_runs import Run, happening, runs
from lwmport.wording import shown

WIDTH: Final = 720
HEIGHT: Final = 290
LEFT: Final = 62
RIGHT: Final = 706
EQUAL: Final = 52
"""Where tensors lie that are equal."""

TOP: Final = 74
BOTTOM: Final = 226
BROKEN: Final = 246
"""Where tensors lie that are not finite, or whose reference is zero."""

STEP: Final = 20
"""Decibels between two lines, or a multiple of it."""

LOWEST: Final = -40.0
"""Decibels below which a point lies on the edge: the error is a hundred times the signal."""

BANDS: Final = 64
"""Places at which names are shown; more taps share them."""

MARKS: Final = 60
"""Places at which something happens that are marked."""

LABEL: Final = 18
"""Letters of a name under the axis."""

LABEL_WIDTH: Final = 118


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The data of two SVG paths: ``dots`` are for points with no neighbour that a line could lead to."""

    lines: str
    dots: str


@dataclass(frozen=True, kw_only=True)
class Band:
    """A part of the depth that has a name. ``lines`` are shown when it is pointed at or focused."""

    x: float
    width: float
    lines: tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A place at which something happens; ``style`` is its CSS class: enters, amplified or harmless."""

    x: float
    y: float
    style: str


@dataclass(frozen=True, kw_only=True)
class DepthChart:
    """Everything to draw; ``rows`` are the two special ones in use."""

    whole: Curve
    own: Curve
    bands: tuple[Band, ...]
    marks: tuple[Mark, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    rows: tuple[Tick, ...]
    summary: str


def depth_chart(found: Bisection) -> DepthChart | None:
    """Return the curves of a bisection; None where no tap was compared."""
    taps = found.taps
    if not taps:
        return None
    values = [measured.sqnr_db for tap in taps for measured in (tap.whole, tap.own) if measured is not None]
    low, high = _range(values)
    across, height = _across(len(taps)), _height(low, high)
    spans = list(runs(taps, BANDS))
    return DepthChart(
        whole=_curve([tap.whole for tap in taps], across, height),
        own=_curve([tap.own for tap in taps], across, height),
        bands=tuple(_band(run, across) for run in spans),
        marks=tuple(_marks(taps, across, height)),
        x_ticks=tuple(_names(spans, across)),
        y_ticks=tuple(_scale(low, high, height)),
        rows=tuple(_rows(values)),
        summary=_summary(found),
    )


def _range(values: list[float]) -> tuple[float, float]:
    """Return the ends of the axis in decibels, whole steps apart."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low = math.floor(max(min(finite), LOWEST) / STEP) * STEP
    high = math.ceil(max(*finite, low + STEP) / STEP) * STEP
    return float(low), float(high)


def _across(count: int) -> Callable[[float], float]:
    """Return what gives the place across of the middle of a tap."""
    return lambda place: round(LEFT + (RIGHT - LEFT) * (place + 0.5) / count, 1)


def _height(low: float, high: float) -> Callable[[float], float]:
    """Return what gives the place down of decibels."""

    def height(value: float) -> float:
        if math.isnan(value) or value == -math.inf:
            return BROKEN
        if value == math.inf:
            return EQUAL
        return round(BOTTOM - (BOTTOM - TOP) * (max(value, low) - low) / (high - low), 1)

    return height


Point = tuple[float, float]


def _curve(
    measured: list[Measured | None], across: Callable[[float], float], height: Callable[[float], float]
) -> Curve:
    """Return a curve that breaks where nothing was measured, and between decibels and the two rows beside them.

    Of taps that share one unit across, the worst is drawn: a curve has no more points than the axis has units.
    """
    worst: dict[int, Point | None] = {}
    for place, one in enumerate(measured):
        point = None if one is None else (across(place), height(one.sqnr_db))
        column = place * (RIGHT - LEFT) // max(len(measured), RIGHT - LEFT)
        before = worst.get(column)
        worst[column] = point if before is None or (point is not None and point[1] > before[1]) else before
    pieces: list[list[Point]] = []
    for before, point in pairwise([None, *worst.values()]):
        if point is not None and before is not None and _row(before[1]) == _row(point[1]):
            pieces[-1].append(point)
        elif point is not None:
            pieces.append([point])
    lines = ("M" + "L".join(f"{x:g} {y:g}" for x, y in piece) for piece in pieces if len(piece) > 1)
    dots = (f"M{x:g} {y:g}h0" for piece in pieces if len(piece) == 1 for x, y in piece)
    return Curve(lines="".join(lines), dots="".join(dots))


def _row(height: float) -> float | None:
    """Return the special row that a height is, None for the decibels."""
    return height if height in (EQUAL, BROKEN) else None


def _band(run: Run, across: Callable[[float], float]) -> Band:
    start, end = across(run.first - 0.5), across(run.last + 0.5)
    own = "" if run.own is None else f", {decibels(run.own)} on the reference's own inputs"
    least = "least SQNR " if len(run.taps) > 1 else "SQNR "
    events = f"; {run.events}" if run.events else ""
    second = f"{least}{decibels(run.whole)} in the whole model{own}{events}"
    return Band(x=start, width=round(end - start, 1), lines=(_cut(run.name), _cut(second)))


def _cut(text: str, most: int = 124) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _marks(taps: tuple[Tap, ...], across: Callable[[float], float], height: Callable[[float], float]) -> Iterator[Mark]:
    for place, tap in happening(taps, MARKS)[0]:
        style = "harmless" if tap.harmless else "enters" if tap.enters else "amplified"
        yield Mark(x=across(place), y=height(tap.whole.sqnr_db), style=style)


def _names(spans: list[Run], across: Callable[[float], float]) -> Iterator[Tick]:
    """Yield names under the axis, far enough apart."""
    free = float(LEFT)
    for run in spans:
        start = across(run.first - 0.5)
        if free <= start <= RIGHT - LABEL_WIDTH + 8:
            name = shown(run.taps[0].layer or run.taps[0].tap)
            yield Tick(at=start, label=name if len(name) <= LABEL else f"…{name[1 - LABEL :]}")
            free = start + LABEL_WIDTH


def _scale(low: float, high: float, height: Callable[[float], float]) -> Iterator[Tick]:
    step = STEP * math.ceil((high - low) / STEP / 6)
    value = low
    while value <= high:
        yield Tick(at=height(value), label=numbers.decibels(value).replace(".0 dB", " dB"))
        value += step


def _rows(values: list[float]) -> Iterator[Tick]:
    if math.inf in values:
        yield Tick(at=EQUAL, label="equal")
    if any(math.isnan(value) or value == -math.inf for value in values):
        yield Tick(at=BROKEN, label="not finite")


def _summary(found: Bisection) -> str:
    values = [tap.whole.sqnr_db for tap in found.taps]
    equal, broken = values.count(math.inf), sum(not value > -math.inf for value in values)
    entered = sum(tap.enters for tap in found.taps)
    words = [f"{numbers.count(len(values))} taps", f"{numbers.count(equal)} of them equal"]
    words += [f"{numbers.count(broken)} not finite"] if broken else []
    words.append(f"an error enters at {numbers.count(entered)}" if entered else "no error enters")
    least = min((value for value in values if math.isfinite(value)), default=None)
    return ", ".join([*words, *([] if least is None else [f"least SQNR {decibels(least)}"])])
