"""One thing that is looked at on a machine, as a row of a table."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from lwmport.targets.doctor.machine import Machine
from lwmport.types import Severity

Trouble: TypeAlias = tuple[Severity, str, str]
"""How bad it is, what was found, and the line that mends it."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check. ``look`` yields what is wrong, nothing on a good machine."""

    name: str
    look: Callable[[Machine], Iterator[Trouble]]


@dataclass(frozen=True, kw_only=True)
class Remark:
    """What one check found. An ``ERROR`` blocks the target."""

    check: str
    severity: Severity
    found: str
    fix: str


def error(found: str, fix: str) -> Trouble:
    """Return what blocks the work."""
    return Severity.ERROR, found, fix


def warning(found: str, fix: str) -> Trouble:
    """Return what may spoil numbers or speed, or blocks a part of the work."""
    return Severity.WARNING, found, fix


def note(found: str, fix: str) -> Trouble:
    """Return what is good to know."""
    return Severity.NOTE, found, fix
