"""What changed between two runs of the same ports, as frozen records that are plain JSON."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["verdict", "error", "files", "seconds", "memory", "new", "gone"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that is not as it was.

    Attributes:
        kind: what changed.
        job: the name of the port.
        title: its title.
        what: the output, the kind of files, or nothing.
        before, now: both values, ready to read; empty where there was none.
        factor: how many times as large it is; None where it is no number, or was zero.
        worse: whether it got worse.
    """

    kind: Kind
    job: str
    title: str
    what: str
    before: str
    now: str
    factor: float | None
    worse: bool


@dataclass(frozen=True, kw_only=True)
class Trends:
    """What changed against an earlier run. ``against`` is where that lies, ``compared`` how many ports both have."""

    against: str
    compared: int
    changes: tuple[Change, ...]
    sentence: str
