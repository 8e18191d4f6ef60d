"""A picture in a terminal of 24-bit colours: each character is two pixels, one above the other."""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

LARGEST: Final = 64
"""Columns of a picture at most."""

OTHER_LINES: Final = 4
"""Lines of the terminal that are left to what is told beside it."""


def can_show(console: "Console") -> bool:
    """Return whether a terminal has the colours and the room."""
    return console.is_terminal and console.color_system == "truecolor" and side_of(console) >= 16


def side_of(console: "Console") -> int:
    """Return how many pixels wide and high a square picture is, an even number."""
    return min(LARGEST, console.width, 2 * (console.height - OTHER_LINES)) // 2 * 2


def half_blocks(pixels: Any, side: int) -> "Text":
    """Return the upper rows of a square picture as text.

    Args:
        pixels: uint8 [height so far, width, 3].
        side: pixels of the whole picture in the terminal.
    """
    from PIL import Image
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    height = max(2, round(side * pixels.shape[0] / pixels.shape[1]) // 2 * 2)
    small = Image.fromarray(pixels).resize((side, height), Image.Resampling.BOX)
    text = Text(no_wrap=True)
    for line in range(0, height, 2):
        for column in range(side):
            upper, lower = (Color.from_rgb(*small.getpixel((column, line + place))[:3]) for place in (0, 1))  # type: ignore[index]
            text.append("\u2580", Style(color=upper, bgcolor=lower))
        text.append("\n")
    return text
