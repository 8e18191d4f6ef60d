"""What the page of a bisection shows beside its curve: the taps that matter, the neighbours, and the heat map."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from lwmport.reports import pictures
from lwmport.reports.bisection import Bisection, First, Measured, Neighbour, Tap
from lwmport.reports.cases import ROWS as ROWS_AT_ONCE
from lwmport.reports.tap_runs import Run, happening, runs
from lwmport.types import Array

EVENTS: Final = 40
"""Taps at which something happens that are shown unfolded."""

ROWS: Final = 200
"""Rows of all taps, folded; more taps share them, by layer."""

SHOWN: Final = 3
"""Neighbours on one side that are drawn."""

OTHERS: Final = 20
"""Further places where an error enters that are listed."""

THIN: Final = 48
"""Pixels of a row of a heat map that has few."""


Output = tuple[str, Measured, bool]
"""An output of the model: its name, how far it is, whether it is within its tolerance."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """Operators side by side, and how many more there are. ``wires`` are the middles of all, in hundredths across."""

    word: str
    neighbours: tuple[Neighbour, ...]
    more: int

    @property
    def wires(self) -> tuple[float, ...]:
        """Where the boxes have their middles, from 0 to 100."""
        boxes = len(self.neighbours) + bool(self.more)
        return tuple(round(100 * (place + 0.5) / boxes, 1) for place in range(boxes))


@dataclass(frozen=True, kw_only=True)
class Heat:
    """The heat map as a data URI."""

    uri: str
    width: int
    height: int
    caption: str


def events(found: Bisection) -> tuple[list[Tap], int]:
    """Return the taps at which something happens, in order, and how many more there are."""
    kept, more = happening(found.taps, EVENTS)
    return [tap for _, tap in kept], more


def all_taps(found: Bisection) -> list[Run]:
    """Return every tap in as many rows as a page has room for."""
    return list(runs(found.taps, ROWS)) if found.taps else []


def outputs(found: Bisection) -> tuple[list[Output], list[Output]]:
    """Return the outputs to show, those beyond tolerance before others, and the rest, which is within."""
    wrong, right = ([one for one in found.outputs if one[2] is passed] for passed in (False, True))
    free = max(0, ROWS_AT_ONCE - len(wrong))
    return [*wrong, *right[:free]], right[free:]


def levels(first: First) -> list[Level]:
    """Return the operator between those in front and those behind, the levels that there are."""
    return list(_levels(first))


def _levels(first: First) -> Iterator[Level]:
    for place, word in ((-1, "In front"), (0, "Here"), (1, "Behind")):
        side = tuple(one for one in first.neighbours if one.place == place)
        if side:
            yield Level(word=word, neighbours=side[:SHOWN], more=max(0, len(side) - SHOWN))


def heat(first: First) -> Heat | None:
    """Return the picture of where the output of the operator is wrong; None where there are no values."""
    if not first.heat or not first.heat[0]:
        return None
    error = np.asarray(first.heat, np.float64)
    pixels = pictures.heat_map(_square(error))
    uri = f"data:image/png;base64,{base64.b64encode(pictures.png(pixels)).decode()}"
    axes = f", {first.axes}" if first.axes else ""
    caption = f"Absolute error, the largest in each of {error.shape[0]} × {error.shape[1]} cells{axes}: "
    height, width = pixels.shape[:2]
    return Heat(uri=uri, width=width, height=height, caption=f"{caption}{pictures.span(error)}.")


def _square(error: Array) -> Array:
    """Return a map whose picture is `pictures.SIDE` across, and not too thin where it has one row."""
    rows, columns = error.shape
    side = pictures.SIDE
    tall = max(side // max(rows, columns), min(side // rows, THIN), 1)
    return error.repeat(tall, axis=0).repeat(max(side // columns, 1), axis=1)
