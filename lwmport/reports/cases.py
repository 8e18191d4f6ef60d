"""Many outputs in few rows: one row a case, by its worst output."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lwmport.reports import view
from lwmport.reports.record import ComponentReport
from lwmport.types import Status, TensorDiff
from lwmport.verdicts import combined

ROWS: Final = 12
"""Rows of cases that are shown at once; further ones that passed are folded."""


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
    def sentence(self) -> str:
        """The row as a line of text."""
        name = f"{self.name}: " if self.name else ""
        worst = self.worst.name.rpartition("/")[2]
        return f"{name}{self.passed} of {len(self.diffs)} outputs, worst {worst}: {self.worst.reason}"


def weight(diff: TensorDiff) -> tuple[bool, float]:
    """Return how bad an output is, to be compared with others."""
    return diff.status is not Status.PASSED, view.headline(diff).used if diff.metrics else 1.0


def cases_of(part: ComponentReport) -> list[Case]:
    """Return the cases of a component in order; outputs are named CASE/OUTPUT where there are several."""
    found: dict[str, list[TensorDiff]] = {}
    for diff in part.validation.diffs:
        found.setdefault(diff.name.rpartition("/")[0], []).append(diff)
    name = part.validation.component
    return [Case(component=name, name=case, diffs=tuple(diffs)) for case, diffs in found.items()]


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
