import itertools

import pytest

from lwmport.reports import chart as module
from lwmport.reports.chart import chart
from lwmport.types import Tolerance
from lwmport.validators.histogram import Histogram

TIGHT = Tolerance(atol=1e-4, rtol=0.0, why="")


def drawn(start: int = -28, counts: tuple[int, ...] = (1, 100, 5), zeros: int = 0, incomparable: int = 0):  # noqa: ANN201
    return chart(Histogram(start=start, counts=counts, zeros=zeros, incomparable=incomparable), TIGHT)


def test_bars_rise_with_the_logarithm_of_the_count() -> None:
    one, hundred, five = drawn().bars
    assert one.height < five.height < hundred.height
    assert one.height >= 3
    assert hundred.y == pytest.approx(module.TOP)
    assert (one.x < hundred.x, hundred.x < five.x) == (True, True)
    assert hundred.label == "1.78e-7 to 3.16e-7: 100"


def test_what_is_beyond_the_tolerance_stands_out() -> None:
    styles = [bar.style for bar in drawn(start=-18, counts=(3, 3, 3, 3)).bars]
    assert styles == ["within", "within", "beyond", "beyond"]


def test_a_relative_tolerance_colours_nothing() -> None:
    histogram = Histogram(start=0, counts=(1,), zeros=0, incomparable=0)
    found = chart(histogram, Tolerance(atol=1e-4, rtol=1.0, why=""))
    assert [bar.style for bar in found.bars] == ["within"]


def test_zeros_and_nans_have_columns_of_their_own() -> None:
    found = drawn(zeros=7, incomparable=1)
    assert {bar.style for bar in found.bars} == {"within", "equal", "broken"}
    assert [tick.label for tick in found.x_ticks[:2]] == ["0", "NaN"]
    assert found.summary == "7 values are equal, 106 err by 1e-7 to 5.62e-7, 1 are NaN or infinite"


@pytest.mark.parametrize("start", [-80, -30, 0, 40])
@pytest.mark.parametrize("counts", [(), (1,), (1, 0, 9), (10**9,)])
@pytest.mark.parametrize("zeros", [0, 5])
def test_everything_is_inside_the_frame_and_labels_stay_apart(start: int, counts: tuple[int, ...], zeros: int) -> None:
    found = drawn(start, counts, zeros, incomparable=zeros)
    assert all(bar.x >= module.LEFT and bar.x + bar.width <= module.RIGHT + 0.1 for bar in found.bars)
    assert all(bar.y >= module.TOP - 0.1 and bar.y + bar.height == pytest.approx(module.BOTTOM) for bar in found.bars)
    places = sorted(tick.at for tick in found.x_ticks)
    assert all(right - left > 20 for left, right in itertools.pairwise(places))
    assert found.limit is not None
    assert module.LEFT <= found.limit.at <= module.RIGHT


def test_an_exact_tolerance_has_no_line() -> None:
    histogram = Histogram(start=-8, counts=(1,), zeros=0, incomparable=0)
    assert chart(histogram, Tolerance(atol=0.0, rtol=0.0, why="")).limit is None
