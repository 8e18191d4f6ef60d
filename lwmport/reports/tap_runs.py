"""Taps in few rows: those that follow each other in a layer are one, and those at which something happens are found."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from lwmport.reports.bisect_words import happens
from lwmport.reports.bisection import Measured, Tap
from lwmport.wording import shown


@dataclass(frozen=True, kw_only=True)
class Run:
    """Taps that follow each other and are shown as one. ``first`` and ``last`` count from 0."""

    name: str
    first: int
    last: int
    taps: tuple[Tap, ...]

    @property
    def whole(self) -> float:
        """The least SQNR in the whole model, in decibels; NaN where one is not finite."""
        return _least(tap.whole for tap in self.taps)

    @property
    def own(self) -> float | None:
        """The least SQNR on the reference's own inputs; None where nothing ran on them."""
        found = [tap.own for tap in self.taps if tap.own is not None]
        return _least(iter(found)) if found else None

    @property
    def events(self) -> str:
        """What happens here, with the names of the taps."""
        return "; ".join(f"{happens(tap)} at {shown(tap.tap)}" for tap in self.taps if happens(tap))


def runs(taps: tuple[Tap, ...], most: int) -> Iterator[Run]:
    """Yield the taps in order, each alone if they are few, else by layers, else by what ``most`` rows have room for."""
    numbered = list(enumerate(taps))
    groups = [[one] for one in numbered]
    if len(groups) > most:
        groups = [list(group) for _, group in groupby(numbered, key=lambda one: one[1].layer or one[0])]
    size = math.ceil(len(groups) / most)
    for start in range(0, len(groups), size):
        part = [one for group in groups[start : start + size] for one in group]
        yield _run(part)


def happening(taps: tuple[Tap, ...], most: int) -> tuple[list[tuple[int, Tap]], int]:
    """Return the taps at which something happens with their places, in order, and how many more there are.

    Where there are more than ``most``, an error that enters goes first, then one that is amplified the most.
    """
    found = [(place, tap) for place, tap in enumerate(taps) if happens(tap)]
    ranked = sorted(found, key=lambda one: (not one[1].enters, not one[1].harmless, -(one[1].amplified or 0)))
    return sorted(ranked[:most], key=lambda one: one[0]), len(ranked[most:])


def _run(part: list[tuple[int, Tap]]) -> Run:
    (first, begin), (last, end) = part[0], part[-1]
    names = [shown(tap.layer or tap.tap) if len(part) > 1 else shown(tap.tap) for tap in (begin, end)]
    name = names[0] if names[0] == names[1] else f"{names[0]} to {names[1]}"
    return Run(name=name, first=first, last=last, taps=tuple(tap for _, tap in part))


def _least(measured: Iterator[Measured]) -> float:
    values = [one.sqnr_db for one in measured]
    return math.nan if any(map(math.isnan, values)) else min(values)
