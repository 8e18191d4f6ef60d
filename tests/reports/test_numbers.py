import math

import pytest

from lwmport.reports import numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1, "1"),
        (0.01234, "0.0123"),
        (0.001, "0.001"),
        (0.000999, "9.99e-4"),
        (1.8e-5, "1.8e-5"),
        (-2.5e-7, "−2.5e-7"),
        (123.456, "123"),
        (99999.7, "100000"),
        (123456, "1.23e5"),
        (-0.5, "−0.5"),
        (1e-300, "1e-300"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "NaN"),
    ],
)
def test_three_digits(value: float, text: str) -> None:
    assert numbers.number(value) == text


def test_nine_digits_tell_neighbouring_float32_apart() -> None:
    assert numbers.precise(0.100000001) != numbers.precise(0.100000009)
    assert numbers.precise(1234.56789012) == "1234.56789"


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 s"), (2.61, "2.61 s"), (0.0132, "13.2 ms"), (6.4e-4, "640 µs"), (200, "3 min 20 s")]
)
def test_seconds(value: float, text: str) -> None:
    assert numbers.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (41_213, "41.2 kB"), (341_212_160, "341 MB"), (2e12, "2 TB")],
)
def test_sizes(value: int, text: str) -> None:
    assert numbers.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1"), (1 - 1e-9, "1 − 1e-9"), (0.9, "0.9"), (-1, "−1"), (math.nan, "NaN")]
)
def test_near_one(value: float, text: str) -> None:
    assert numbers.near_one(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.0048, "0.48 %"), (0.46, "46 %"), (8683.7, "8,684 ×"), (math.inf, "∞")])
def test_shares(value: float, text: str) -> None:
    assert numbers.share(value) == text


def test_counts_decibels_and_positions() -> None:
    assert numbers.count(196608) == "196,608"
    assert (numbers.decibels(98.66), numbers.decibels(math.inf)) == ("98.7 dB", "∞ dB")
    assert numbers.position((0, 12, 200, 1)) == "[0, 12, 200, 1]"


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, -1.0, 1e300])
@pytest.mark.parametrize("form", [numbers.seconds, numbers.percent, numbers.decibels, numbers.share, numbers.near_one])
def test_no_float_is_too_odd(form, value: float) -> None:  # noqa: ANN001
    assert form(value)
