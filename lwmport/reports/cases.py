"""Many outputs in few rows: one row a case, by its worst output."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lwmport.reports import view
from lwmport.reports.record import ComponentReport
from lwmport.types import Status, TensorDiff, Tolerance
from lwmport.verdicts import combined

ROWS: Final = 12
"""Rows of cases, and outputs with all their numbers, that are shown at once; further ones that passed are folded."""


LAYER: Final = re.compile(r"\.\d+(\.|$)")
"""The number of a layer in the name of an output: ``present.31.key``."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """The outputs of a component in one case; ``name`` is empty where there is one case without a name."""

    component: str
    name: str
    diffs: tuple[TensorDiff, ...]

    @property
    def status(self) -> Status:
        """The verdict on all outputs of the case."""
        return combined(diff.status for diff in self.diffs)

    @property
    def passed(self) -> int:
        """How many outputs passed."""
        return sum(diff.status is Status.PASSED for diff in self.diffs)

    @property
    def worst(self) -> TensorDiff:
        """The output that used most of its tolerance; one that failed goes before all that passed."""
        return max(self.diffs, key=weight)

    @property
    def worst_layer(self) -> TensorDiff | None:
        """The worst of the outputs that layers give, where there are such and none of them is the worst of all."""
        layers = [diff for diff in self.diffs if LAYER.search(diff.name)]
        return max(layers, key=weight) if layers and not LAYER.search(self.worst.name) else None

    @property
    def sentence(self) -> str:
        """The row as a line of text."""
        name = f"{self.name}: " if self.name else ""
        layer = f"; worst layer: {short(self.worst_layer)}" if self.worst_layer else ""
        return (
            f"{name}{self.passed} of {len(self.diffs)} outputs, worst: {short(self.worst)}, {self.worst.reason}{layer}"
        )


def short(diff: TensorDiff) -> str:
    """Return the name of an output without its case."""
    return diff.name.rpartition("/")[2]


def weight(diff: TensorDiff) -> tuple[bool, float]:
    """Return how bad an output is, to be compared with others."""
    return diff.status is not Status.PASSED, view.headline(diff).used if diff.metrics else 1.0


def cases_of(part: ComponentReport) -> list[Case]:
    """Return the cases of a component in order; outputs are named CASE/OUTPUT where there are several."""
    found: dict[str, list[TensorDiff]] = {}
    for diff in part.validation.diffs:
        found.setdefault(diff.name.rpartition("/")[0], []).append(diff)
    return [Case(component=part.title, name=case, diffs=tuple(diffs)) for case, diffs in found.items()]


def every_case(parts: Iterable[ComponentReport]) -> list[Case]:
    """Return the cases of all components in order."""
    return [case for part in parts for case in cases_of(part)]


def apart(part: ComponentReport) -> tuple[list[TensorDiff], list[TensorDiff]]:
    """Return the outputs of a component that are shown with all their numbers, and those that are only listed.

    Where there are many, the first are those that did not pass and the worst of each case, no more than `ROWS`.
    """
    diffs = list(part.validation.diffs)
    if len(diffs) <= ROWS:
        return diffs, []
    bad = [diff for diff in diffs if diff.status is not Status.PASSED]
    worst = [case.worst for case in shown_cases(cases_of(part))[0]]
    chosen = {diff.name for diff in [*bad, *worst][:ROWS]}
    return [diff for diff in diffs if diff.name in chosen], [diff for diff in diffs if diff.name not in chosen]


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A tolerance and the outputs of one component that it holds for."""

    component: str
    names: tuple[str, ...]
    diff: TensorDiff

    @property
    def whose(self) -> str:
        """The outputs in few words."""
        more = f" and {len(self.names) - 1} more" if len(self.names) > 1 else ""
        return f"{self.names[0]}{more}"


def limits(parts: Iterable[ComponentReport]) -> list[Limit]:
    """Return each tolerance of each component once, with the outputs that it holds for."""
    found: dict[tuple[str, Tolerance], list[TensorDiff]] = {}
    for part in parts:
        for diff in part.validation.diffs:
            found.setdefault((part.title, diff.tolerance), []).append(diff)
    return [
        Limit(component=component, names=tuple(diff.name for diff in diffs), diff=diffs[0])
        for (component, _), diffs in found.items()
    ]


def shown_cases(cases: Iterable[Case]) -> tuple[list[Case], list[Case]]:
    """Return the rows to show, and those to fold: what did not pass is shown, then the worst of the others."""
    found = list(cases)
    ranked = sorted(range(len(found)), key=lambda place: weight(found[place].worst), reverse=True)
    bad = sum(case.status is not Status.PASSED for case in found)
    kept = set(ranked[: max(ROWS, bad)])
    return (
        [case for place, case in enumerate(found) if place in kept],
        [case for place, case in enumerate(found) if place not in kept],
    )
