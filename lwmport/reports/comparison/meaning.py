"""What the difference of two structures means for a target."""

from collections import Counter
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Objection:
    """What a target says about one side alone: a rule, the operator that it is about, and how often."""

    rule: str
    severity: str
    title: str
    operator: str
    a: int
    b: int
    vendor: str
    fix: str


@dataclass(frozen=True, kw_only=True)
class NewOperator:
    """An operator that only one side has, and what the target's own list of operators says of it.

    ``listed`` is None where the target has no such list.
    """

    operator: str
    side: str
    count: int
    listed: bool | None
    note: str


UNLISTED: Final = "not listed"
"""What a list says of an operator that it has in no version (`lwmport.targets.operators.ABSENT`)."""


@dataclass(frozen=True, kw_only=True)
class TargetMeaning:
    """What the difference means for one target.

    ``status_a`` and ``status_b`` are the verdicts of its rules; empty where a side cannot be asked about, which
    ``notes`` explain.
    """

    target: str
    status_a: str
    status_b: str
    objections: tuple[Objection, ...] = ()
    operators: tuple[NewOperator, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What it comes to, in words."""
        new = [one for one in self.objections if one.b > one.a]
        gone = [one for one in self.objections if one.a > one.b]
        unlisted = [one.operator for one in self.operators if one.side == "B" and one.note == UNLISTED]
        words = [
            _said("B has", new),
            _said("A has", gone),
            f"its list of operators has no {', '.join(unlisted)}, which only B has" if unlisted else "",
        ]
        told = "; ".join(filter(None, words))
        if told or not (self.status_a or self.status_b):
            return told or "not asked"
        return "the rules say the same of both" if self.status_a and self.status_b else "one side is asked about alone"


def _said(side: str, objections: list[Objection]) -> str:
    counts = Counter(one.severity for one in objections)
    told = ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for word, count in counts.items())
    return f"{side} {told} that the other has not" if told else ""
