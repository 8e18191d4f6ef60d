"""What a compiler gets: the steps with their words, and the files that the steps read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias


@dataclass(frozen=True, kw_only=True)
class Place:
    """How the command sees things from the folder that it is run in: the model file, and the folder for results."""

    model: str
    out: str

    def file(self, name: str) -> str:
        """Return the path of a file among the results."""
        return name if self.out == "." else f"{self.out}/{name}"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One run of one tool. It must have written a file for each of ``products``, globs with ``|`` between them.

    Where it says ``absent``, a part of the tool is not installed: as if the tool were not.
    """

    name: str
    tools: tuple[str, ...]
    options: tuple[str, ...]
    products: tuple[str, ...] = ()
    absent: str = ""


@dataclass(frozen=True, kw_only=True)
class CompilePlan:
    """Steps in order, and the files that have to be there before the first.

    ``parts`` lead to the same result where the tool of the first step is not installed, and that of the first part is.
    ``data`` are large files, the same wherever the steps are run from: each is made once, when it is written.
    """

    steps: tuple[Step, ...]
    parts: tuple[Step, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    data: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one step did: its exit code, what it said, its products, and those globs without one that is not empty."""

    step: Step
    code: int
    said: str
    products: tuple[Path, ...] = ()
    missing: tuple[str, ...] = ()


Judge: TypeAlias = Callable[[Run], str]
"""Returns why a run failed, in one line with the fix, or an empty text if all signs of success are there."""


def lines_of(said: str) -> list[str]:
    """Return the lines without surrounding space."""
    return [line.strip() for line in said.splitlines() if line.strip()]
