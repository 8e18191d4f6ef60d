"""Contrast: every text colour on every ground it stands on, in light, dark and print (WCAG 2.1 AA, 4.5 to 1)."""

import re
from importlib import resources

import pytest

STYLE = (resources.files("lwmport.reports") / "templates" / "report.css").read_text(encoding="utf-8")
PAIRS = [(ink, ground) for ink in ("ink", "muted", "link", "skip") for ground in ("page", "card")]
PAIRS += [(status, f"{status}-soft") for status in ("pass", "fail", "skip")]
PAIRS += [("on", f"{status}-band") for status in ("pass", "fail", "skip")]


def palettes() -> dict[str, dict[str, str]]:
    found = [
        dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    ]
    light, dark, printed = found
    return {"light": light, "dark": {**light, **dark}, "print": {**light, **printed}}


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
@pytest.mark.parametrize(("ink", "ground"), PAIRS)
def test_text_can_be_read(scheme: str, ink: str, ground: str) -> None:
    palette = palettes()[scheme]
    bright, dark = sorted((luminance(palette[ink]), luminance(palette[ground])), reverse=True)
    assert (bright + 0.05) / (dark + 0.05) >= 4.5
