"""What became of each planted fault and each clean conversion, and what that counts to."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from tables import aligned, gigabytes

NEAR = 1
"""Steps in the graph that count as the direct neighbour."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a search for the first wrong operator said.

    Attributes:
        node, operator: what it found, empty where it found nothing.
        distance: steps to the planted one; None where it found nothing, or something far away.
        cause: its word for why, None where it knows none. explanation: its words.
        error: why it did not come to an end.
    """

    node: str = ""
    operator: str = ""
    distance: int | None = None
    cause: str | None = None
    explanation: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0
    error: str = ""

    @property
    def is_near(self) -> bool:
        """Return whether it found the very operator or a direct neighbour."""
        return self.distance is not None and self.distance <= NEAR


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One planted fault.

    Attributes:
        case: the conversion. kind, group, seed, node, operator, nodes, causes: what was planted (`faults.Planted`).
        beyond: whether some element of an output is beyond its tolerance, or the model does not run any more.
        caught: whether the validators fail the model.
        search: what bisect found; with ``--strict`` where no validator fails the model. None where it was not asked.
        peer: what Polygraphy found; None where it was not asked, as in TFLite.
    """

    case: str
    kind: str
    group: str
    seed: int
    node: str
    operator: str
    nodes: tuple[str, ...]
    causes: tuple[str, ...]
    beyond: bool
    caught: bool
    search: Search | None = None
    peer: Search | None = None

    @property
    def is_explained(self) -> bool | None:
        """Whether the cause is right; None where none was told, or where no search was made."""
        if self.search is None or self.search.cause is None:
            return None
        return self.search.cause in self.causes


@dataclass(frozen=True, kw_only=True)
class Clean:
    """One clean conversion, and what sounded an alarm on it: nothing, the validators, or ``bisect --strict``."""

    case: str
    alarm: str = ""
    search: Search | None = None


@dataclass(frozen=True, kw_only=True)
class Findings:
    """A whole run."""

    setting: Mapping[str, Any]
    faults: Sequence[Fault]
    clean: Sequence[Clean]
    lost: Mapping[str, str] = field(default_factory=dict)
    """What ended a process -> with what."""

    def to_json(self) -> dict[str, Any]:
        """Return everything, counts included."""
        return {**asdict(self), "counts": [dict(row) for row in counts(self.faults, self.clean)]}


def counts(faults: Iterable[Fault], clean: Sequence[Clean]) -> list[Mapping[str, Any]]:
    """Return rows of ``what``, ``count`` and ``of``."""
    faults = list(faults)
    shown = [fault for fault in faults if fault.caught or fault.beyond]
    hidden = [fault for fault in faults if not (fault.caught or fault.beyond)]
    searched = [fault for fault in shown if fault.search is not None]
    ruled = [fault for fault in searched if fault.causes]
    peers = [fault for fault in shown if fault.peer is not None]
    beside = [fault for fault in peers if fault.search is not None]
    return [
        _row("change an output beyond its tolerance", faults, lambda fault: fault.beyond),
        _row("caught by the validators, of these", [fault for fault in faults if fault.beyond], _caught),
        _row("caught though no element is beyond it", [fault for fault in faults if not fault.beyond], _caught),
        _row("bisect: at the very operator", searched, lambda fault: _steps(fault.search) == 0),
        _row("bisect: there or at a direct neighbour", searched, lambda fault: _near(fault.search)),
        _row("bisect: found nothing", searched, lambda fault: not _node(fault.search)),
        _row("explained rightly, where a rule is", ruled, lambda fault: fault.is_explained is True),
        _row("explained by the exact word", ruled, lambda fault: _cause(fault.search) == fault.causes[0]),
        _row("explained wrongly", searched, lambda fault: fault.is_explained is False),
        _row("bisect --strict: near, where no output shows it", _searched(hidden), lambda f: _near(f.search)),
        _row("bisect --strict: explained wrongly", _searched(hidden), lambda fault: fault.is_explained is False),
        _row("Polygraphy: there or at a direct neighbour (ONNX)", peers, lambda fault: _near(fault.peer)),
        _row("bisect on the same files", beside, lambda fault: _near(fault.search)),
        _row("false alarms on clean conversions", clean, lambda one: bool(one.alarm)),
    ]


def kinds(faults: Iterable[Fault]) -> list[tuple[str, list[Fault]]]:
    """Return the faults of each kind, those kinds first of which most were not found near."""
    by: dict[str, list[Fault]] = {}
    for fault in faults:
        by.setdefault(fault.kind, []).append(fault)
    return sorted(by.items(), key=lambda pair: (-len([one for one in pair[1] if not _near(one.search)]), pair[0]))


def markdown(findings: Findings) -> str:
    """Return the tables."""
    rows = counts(findings.faults, findings.clean)
    total = [["", "count", "of", "share"], *([row["what"], *_share(row["count"], row["of"])] for row in rows)]
    heads = ["kind", "planted", "beyond", "caught", "near", "right", "wrong", "no cause"]
    each = [heads, *([kind, *_of_kind(items)] for kind, items in kinds(findings.faults))]
    return "\n\n".join([_heading(findings), aligned(total), _cost(findings), aligned(each), *_misses(findings)])


def _heading(findings: Findings) -> str:
    faults, clean = findings.faults, findings.clean
    formats = len({fault.case for fault in faults})
    return (
        f"{len(faults)} faults of {len({fault.kind for fault in faults})} kinds in {formats} conversions, seed "
        f"{findings.setting.get('seed')}; {len(clean)} clean conversions."
    )


def _cost(findings: Findings) -> str:
    """Return seconds and memory of a search, and of the peer's."""
    lines = []
    for name, found in (("bisect", [one.search for one in findings.faults]), ("Polygraphy", _peers(findings))):
        done = [one for one in found if one is not None and not one.error]
        if done:
            seconds, peak = median(one.seconds for one in done), max(one.peak_bytes for one in done)
            lines.append(f"{name}: {seconds:.1f} seconds at the median, {gigabytes(peak)} at most.")
    return "\n".join([*lines, *(f"lost: {what}: {why}" for what, why in findings.lost.items())])


def _misses(findings: Findings) -> list[str]:
    """Return what was not found near, or explained wrongly, a line each."""
    wrong = [fault for fault in findings.faults if fault.search is not None and _is_miss(fault)]
    lines = [f"- {_miss(fault)}" for fault in wrong]
    alarms = [f"- {one.case}: {one.alarm}" for one in findings.clean if one.alarm]
    return [
        *(["Not near, or explained wrongly:\n" + "\n".join(lines)] if lines else []),
        *(["False alarms:\n" + "\n".join(alarms)] if alarms else []),
    ]


def _is_miss(fault: Fault) -> bool:
    shown = fault.caught or fault.beyond
    return (shown and not _near(fault.search)) or fault.is_explained is False


def _miss(fault: Fault) -> str:
    found = fault.search or Search()
    what = found.error or f"{found.node or 'nothing'} {found.operator}, {found.cause}: {found.explanation}"
    return f"{fault.kind} seed {fault.seed} in {fault.case}, at {fault.node} ({fault.operator}): found {what}"


def _of_kind(faults: Sequence[Fault]) -> list[str]:
    told = [fault.is_explained for fault in faults]
    found = [len(faults), *(sum(1 for fault in faults if getattr(fault, name)) for name in ("beyond", "caught"))]
    return [str(n) for n in (*found, sum(_near(f.search) for f in faults), *map(told.count, (True, False, None)))]


def _row(what: str, items: Sequence[Any], holds: Callable[[Any], bool]) -> Mapping[str, Any]:
    return {"what": what, "count": sum(1 for item in items if holds(item)), "of": len(items)}


def _share(count: int, of: int) -> list[str]:
    return [str(count), str(of), f"{count / of:.0%}" if of else "-"]


def _peers(findings: Findings) -> list[Search | None]:
    return [fault.peer for fault in findings.faults]


def _searched(faults: Iterable[Fault]) -> list[Fault]:
    return [fault for fault in faults if fault.search is not None]


def _caught(fault: Fault) -> bool:
    return fault.caught


def _near(search: Search | None) -> bool:
    return search is not None and search.is_near


def _steps(search: Search | None) -> int | None:
    return None if search is None else search.distance


def _cause(search: Search | None) -> str | None:
    return None if search is None else search.cause


def _node(search: Search | None) -> str:
    return "" if search is None else search.node
