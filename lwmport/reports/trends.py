"""Two runs of the same ports beside each other: what failed since, and which errors, files and times changed."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Final, get_args

from lwmport.reports import numbers
from lwmport.reports.answer import counted
from lwmport.reports.ports import PortReport, PortRow
from lwmport.reports.trend_record import Change, Kind, Trends
from lwmport.verdicts import ORDER

ERROR: Final = 1.1
"""Factor from which an error has changed: below it, another machine's order of additions explains it."""

FILES: Final = 1.01
SECONDS: Final = 1.25
MEMORY: Final = 1.25
LEAST_SECONDS: Final = 1.0
"""Seconds that a time must have changed by: shorter ones are noise."""

LEAST_BYTES: Final = 100e6
"""Bytes that memory must have changed by."""

GREW: Final[dict[Kind, tuple[str, str]]] = {
    "error": ("1 error grew", "{} errors grew"),
    "files": ("1 set of files grew", "{} sets of files grew"),
    "seconds": ("1 port took longer", "{} ports took longer"),
    "memory": ("1 port took more memory", "{} ports took more memory"),
    "new": ("1 port is new", "{} ports are new"),
    "gone": ("1 port is gone", "{} ports are gone"),
}
"""What changed -> the words for one and for several."""


def trends(earlier: PortReport, now: PortReport, against: str) -> Trends:
    """Return what changed between two runs; ports are the same where they have the same name."""
    before = {row.name: row for row in earlier.jobs}
    names = {row.name for row in now.jobs}
    pairs = [(before[row.name], row) for row in now.jobs if row.name in before]
    changes = [change for one, other in pairs for change in _changes(one, other)]
    changes += [_alone("new", row, "", str(row.status)) for row in now.jobs if row.name not in before]
    changes += [_alone("gone", row, str(row.status), "") for row in earlier.jobs if row.name not in names]
    ranked = sorted(changes, key=lambda change: (not change.worse, get_args(Kind).index(change.kind)))
    sentence = f"Against {against}: {_sentence(ranked, len(pairs))}"
    return Trends(against=against, compared=len(pairs), changes=tuple(ranked), sentence=sentence)


def _changes(before: PortRow, now: PortRow) -> Iterator[Change]:
    if before.status is not now.status:
        worse = ORDER.index(now.status) < ORDER.index(before.status)
        yield Change(
            kind="verdict", job=now.name, title=now.title, what="", before=str(before.status), now=str(now.status),
            factor=None, worse=worse,
        )  # fmt: skip
    for kind, what, pair, least, show, floor in _numbers(before, now):
        if _differs(*pair, least, floor):
            yield _change(kind, now, what, pair, show)


Numbers = tuple[Kind, str, tuple[float, float], float, Callable[[float], str], float]
"""Kind, what, before and now, the factor and the difference from which it counts, and how it is written."""


def _numbers(before: PortRow, now: PortRow) -> Iterator[Numbers]:
    errors = {(one.component, one.name): one.error for one in before.outputs}
    for one in now.outputs:
        if (one.component, one.name) in errors:
            pair = (errors[one.component, one.name], one.error)
            yield "error", f"{one.component} {one.name}", pair, ERROR, numbers.number, 0.0
    for name, size in now.files.items():
        if name in before.files:
            yield "files", name, (before.files[name], size), FILES, _size, 0.0
    if before.stages and now.stages and before.seconds and now.seconds:
        yield "seconds", "", (before.seconds, now.seconds), SECONDS, numbers.seconds, LEAST_SECONDS
    if before.peak_bytes and now.peak_bytes:
        yield "memory", "", (before.peak_bytes, now.peak_bytes), MEMORY, _size, LEAST_BYTES


def _differs(before: float, now: float, least: float, floor: float) -> bool:
    if math.isnan(before) or math.isnan(now):
        return math.isnan(before) is not math.isnan(now)
    return max(before, now) > min(before, now) * least and abs(now - before) > floor


def _change(kind: Kind, row: PortRow, what: str, pair: tuple[float, float], show: Callable[[float], str]) -> Change:
    before, now = pair
    return Change(
        kind=kind,
        job=row.name,
        title=row.title,
        what=what,
        before=show(before),
        now=show(now),
        factor=now / before if before and math.isfinite(now / before) else None,
        worse=math.isnan(now) or now > before,
    )


def _alone(kind: Kind, row: PortRow, before: str, now: str) -> Change:
    return Change(
        kind=kind, job=row.name, title=row.title, what="", before=before, now=now, factor=None, worse=kind == "gone"
    )


def _size(value: float) -> str:
    return numbers.size(int(value))


def _sentence(changes: Iterable[Change], compared: int) -> str:
    found = list(changes)
    worse = [change for change in found if change.worse]
    lost = sum(change.kind == "verdict" and change.before == ORDER[-1] for change in worse)
    words = [f"{lost} passed before and {'does' if lost == 1 else 'do'} not now"] if lost else []
    words += _other_verdicts(worse, lost)
    words += [_grew(kind, count) for kind in GREW if (count := _count(found if kind == "new" else worse, kind))]
    better = sum(not change.worse and change.kind not in ("new", "gone") for change in found)
    words += [f"{counted(better, 'thing')} got better"] if better else []
    return f"{'; '.join(words) if words else 'nothing changed'} ({counted(compared, 'port')} compared)."


def _grew(kind: Kind, count: int) -> str:
    one, several = GREW[kind]
    return one if count == 1 else several.format(count)


def _other_verdicts(worse: list[Change], lost: int) -> list[str]:
    more = _count(worse, "verdict") - lost
    return [f"{more} not judged before and failed now"] if more else []


def _count(changes: Iterable[Change], kind: str) -> int:
    return sum(change.kind == kind for change in changes)
