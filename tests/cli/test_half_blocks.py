"""Pictures in a terminal: two pixels a character, where it has the colours and the room."""

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from lwmport.cli.half_blocks import can_show, half_blocks, side_of
from lwmport.cli.progress import BarProgress


def console(**values: Any) -> Console:
    usual: dict[str, Any] = {"force_terminal": True, "color_system": "truecolor", "width": 80, "height": 30}
    return Console(file=io.StringIO(), **{**usual, **values})


@pytest.mark.parametrize(
    ("values", "side"),
    [({}, 52), ({"height": 12}, 16), ({"width": 33}, 32), ({"height": 11}, 0), ({"color_system": "256"}, 0),
     ({"force_terminal": False}, 0)],
)  # fmt: skip
def test_the_picture_fits_or_is_not_shown(values: dict[str, Any], side: int) -> None:
    found = console(**values)
    assert can_show(found) == (side > 0)
    assert (BarProgress(found).picture is not None) == (side > 0)
    if side:
        assert side_of(found) == side


def test_a_character_is_two_pixels_one_above_the_other() -> None:
    pixels = np.zeros((8, 32, 3), np.uint8)
    pixels[:4, :16], pixels[4:, :16] = (255, 0, 0), (0, 0, 255)
    text = half_blocks(pixels, 8)  # a quarter of the rows of a picture of 8 by 8
    assert text.plain == "\u2580" * 8 + "\n"
    style = text.spans[0].style
    assert (str(style.color.triplet.hex), str(style.bgcolor.triplet.hex)) == ("#ff0000", "#0000ff")  # type: ignore[union-attr]


def test_it_stands_above_the_bar() -> None:
    found = console(width=100)
    with BarProgress(found) as heard:
        heard.phase("an image")
        assert heard.picture is not None
        heard.picture(np.full((16, 32, 3), 200, np.uint8))
        heard.steps("tokens", 3, 8)
        heard._bar.refresh()
    written = found.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[38;2;200;200;200;48;2;200;200;200m\u2580" in written
    assert "3 of 8 tokens" in written
