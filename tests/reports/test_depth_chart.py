import itertools
import math
import re
from dataclasses import replace

import pytest
from bisections import EQUAL, bisection, measured

from lwmport.reports import depth_chart as module
from lwmport.reports.bisection import Measured, Tap
from lwmport.reports.depth_chart import DepthChart, depth_chart

BROKEN = Measured(max_abs=math.nan, relative=math.nan, sqnr_db=math.nan, cosine=math.nan)


def tap(place: int, whole: Measured, own: Measured | None = None, **more: object) -> Tap:
    return Tap(tap=f"t{place}", node=f"n{place}", operator="Add", output=f"o{place}", whole=whole, own=own, **more)  # type: ignore[arg-type]


def drawn(*found: Tap) -> DepthChart:
    chart = depth_chart(bisection(taps=found))
    assert chart is not None
    return chart


def heights(path: str) -> list[float]:
    return [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", path)]


def test_no_taps_no_chart() -> None:
    assert depth_chart(bisection(taps=())) is None


def test_decibels_rise_upwards_and_steps_are_equal() -> None:
    low, middle, high = heights(drawn(*(tap(n, measured(db)) for n, db in enumerate((20.0, 60.0, 100.0)))).whole.lines)
    assert low > middle > high
    assert low - middle == pytest.approx(middle - high, abs=0.2)


def test_equal_and_not_finite_have_rows_of_their_own_and_the_curve_breaks_there() -> None:
    chart = drawn(tap(0, EQUAL), tap(1, EQUAL), tap(2, measured(80.0)), tap(3, measured(60.0)), tap(4, BROKEN))
    assert re.findall("[ML]", chart.whole.lines) == ["M", "L", "M", "L"]
    assert heights(chart.whole.lines)[0] == module.EQUAL
    assert heights(chart.whole.dots) == [module.BROKEN]
    assert [row.label for row in chart.rows] == ["equal", "not finite"]
    assert all(module.EQUAL < tick.at < module.BROKEN for tick in chart.y_ticks)


def test_the_curve_of_own_inputs_has_gaps() -> None:
    own = measured(100.0)
    chart = drawn(tap(0, own, own), tap(1, own, own), tap(2, own), tap(3, own, own))
    assert re.findall("[ML]", chart.own.lines) == ["M", "L"]
    assert chart.own.dots.count("M") == 1
    assert re.findall("[ML]", chart.whole.lines) == ["M", "L", "L", "L"]


def test_what_happens_is_marked_where_it_does() -> None:
    chart = drawn(
        tap(0, measured(90.0)), tap(1, measured(20.0), enters=True), tap(2, measured(10.0), amplified=7.0),
        tap(3, measured(50.0), enters=True, harmless=True),
    )  # fmt: skip
    marks = sorted(chart.marks, key=lambda mark: mark.x)
    assert [mark.style for mark in marks] == ["enters", "amplified", "harmless"]
    assert [mark.y for mark in marks] == heights(chart.whole.lines)[1:]
    assert chart.bands[1].lines == ("t1", "SQNR 20.0 dB in the whole model; enters at t1")


@pytest.mark.parametrize("layers", [1, 4, 32, 300])
def test_everything_is_inside_the_frame_and_labels_stay_apart(layers: int) -> None:
    chart = depth_chart(bisection(layers, layers - 1))
    assert chart is not None
    xs = [float(x) for path in (chart.whole.lines, chart.own.lines) for x in re.findall(r"[ML]([\d.]+) ", path)]
    assert all(module.LEFT <= x <= module.RIGHT for x in xs)
    assert all(module.EQUAL <= y <= module.BROKEN for y in heights(chart.whole.lines) + heights(chart.own.lines))
    assert len(chart.bands) <= module.BANDS
    assert chart.bands[0].x == module.LEFT
    assert chart.bands[-1].x + chart.bands[-1].width == pytest.approx(module.RIGHT, abs=0.2)
    assert all(b.x == pytest.approx(a.x + a.width, abs=0.2) for a, b in itertools.pairwise(chart.bands))
    assert all(right.at - left.at >= module.LABEL_WIDTH for left, right in itertools.pairwise(chart.x_ticks))
    assert len(chart.whole.lines) < 14 * (module.RIGHT - module.LEFT)


def test_of_taps_in_one_place_the_worst_is_drawn() -> None:
    many = [tap(place, measured(100.0)) for place in range(5000)]
    many[2500] = replace(many[2500], whole=measured(5.0))
    chart = drawn(*many)
    assert sum(height > module.BOTTOM - 60 for height in heights(chart.whole.lines)) == 1


def test_an_error_beyond_the_signal_lies_on_the_edge() -> None:
    chart = drawn(tap(0, measured(-300.0)), tap(1, measured(20.0)))
    assert heights(chart.whole.lines)[0] == module.BOTTOM
