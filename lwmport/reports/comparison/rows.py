"""A comparison as rows of tables: what differs, totals of both sides, and operators that one side has more of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lwmport.reports import numbers
from lwmport.reports.comparison.facts import WITHIN, Facts
from lwmport.reports.comparison.record import Change, Comparison, ModuleDiff, Sameness, SideFacts

UNITS: Final = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))

FEW: Final = 6
"""Changes of a module that a row tells."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A module that differs: its path, how, in words, and what each side has."""

    module: ModuleDiff
    title: str
    status: Sameness
    words: tuple[str, ...]
    left: int


@dataclass(frozen=True, kw_only=True)
class Total:
    """One number of both sides."""

    name: str
    a: str
    b: str
    difference: str


def differing(root: ModuleDiff) -> list[Row]:
    """Return the modules that differ, alike ones as one; of one that a single side has, nothing within is told."""
    found: list[Row] = []
    _collect(root, "", found)
    return found


def _collect(module: ModuleDiff, above: str, found: list[Row]) -> None:
    times = f" ×{module.repeats}" if module.repeats > 1 else ""
    title = f"{above}{module.name}" if module.path else "(the model itself)"
    if module.status is not Sameness.SAME:
        words = [_change(change) for change in module.changes] or [_having(module)]
        found.append(
            Row(
                module=module,
                title=f"{title}{times}",
                status=module.status,
                words=tuple(words[:FEW]),
                left=max(0, len(words) - FEW),
            )
        )
    if module.tree_status in (Sameness.ONLY_A, Sameness.ONLY_B):
        return
    for child in module.children:
        _collect(child, f"{title}{times}/" if module.path else "", found)


def _change(change: Change) -> str:
    if change.what == "cost":
        a, b = amount(_number(change.a)), amount(_number(change.b))
        return f"{change.name} {a} → {b}" if a != b else f"{change.name} {change.a} → {change.b}"
    what = "" if change.what == "operators" else f"{change.what} of " if change.what != "parameter" else "parameter "
    return f"{what}{change.name}: {change.a or 'none'} → {change.b or 'none'}"


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _having(module: ModuleDiff) -> str:
    """Return what a module has that one side alone has."""
    if module.tree_status is not module.status:
        own = module.facts_a if module.status is Sameness.ONLY_A else module.facts_b
        return f"what it does itself: {sum(own.operators.values()):,} operators, {amount(own.flop)} FLOP"
    a, b = module.totals
    total = a if module.status is Sameness.ONLY_A else b
    within = sum(1 for _ in module.walk()) - 1
    words = [
        f"{amount(total.parameters)} parameters" if total.parameters else "",
        f"{amount(total.flop)} FLOP" if total.flop else "",
        f"{within} modules within" if within else "",
    ]
    return ", ".join(filter(None, words)) or "neither parameters nor operations"


def totals(found: Comparison) -> list[Total]:
    """Return the numbers of both sides as wholes; a checkpoint has no operators and costs nothing."""
    a, b = found.a.total, found.b.total
    rows = [
        _total("modules", found.a.modules, found.b.modules, "{:,}".format),
        _total("parameters", a.parameter_count, b.parameter_count),
        _total("bytes of parameters", a.parameter_bytes, b.parameter_bytes),
    ]
    if not (found.a.vocabulary or found.b.vocabulary):
        return rows
    counts = (_count(found.a), _count(found.b))
    return [*rows, _total("operators", *counts, "{:,}".format), *(_cost(name, found) for name in COSTS)]


COSTS: Final[Mapping[str, Callable[[Facts], int]]] = {
    "FLOP of a run": lambda facts: facts.flop,
    "of them in products and convolutions": lambda facts: facts.main_flop,
    "bytes read and written in a run": lambda facts: facts.bytes,
}
"""What a cost is called -> where it is."""


def _count(side: SideFacts) -> int | None:
    """Return how many operators a side has, composites as one; None for a checkpoint."""
    return sum(n for name, n in side.total.operators.items() if WITHIN not in name) if side.vocabulary else None


def _cost(name: str, found: Comparison) -> Total:
    """Return a cost, which is a lower bound where a file leaves shapes out; then nothing is said of the difference."""
    sides = found.a, found.b
    a, b = (COSTS[name](side.total) if side.vocabulary else None for side in sides)
    made = _total(name, a, b)
    if not any(side.total.uncounted for side in sides):
        return made
    told = zip(sides, (made.a, made.b), strict=True)
    words = [f"at least {word}" if side.total.uncounted else word for side, word in told]
    return Total(name=name, a=words[0], b=words[1], difference="")


def _total(name: str, a: int | None, b: int | None, shown: Callable[[int], str] | None = None) -> Total:
    shown = shown or amount
    return Total(
        name=name,
        a="–" if a is None else shown(a),
        b="–" if b is None else shown(b),
        difference="" if a is None or b is None else _difference(a, b, shown),
    )


def _difference(a: int, b: int, shown: Callable[[int], str]) -> str:
    if a == b:
        return "the same"
    part = f" ({'+' if b > a else '−'}{numbers.percent(abs(b - a) / a)})" if a else ""
    return f"{'+' if b > a else '−'}{shown(abs(b - a))}{part}"


def operator_rows(found: Comparison) -> list[tuple[str, int, int]]:
    """Return the operators of which one side has more: by name where both name them alike, else by kind.

    Beside a checkpoint, which has none, nothing is told.
    """
    if not (found.a.vocabulary and found.b.vocabulary):
        return []
    alike = found.a.vocabulary == found.b.vocabulary
    a, b = ((side.total.operators if alike else side.total.kinds) for side in (found.a, found.b))
    return [(name, a.get(name, 0), b.get(name, 0)) for name in sorted({*a, *b}) if a.get(name, 0) != b.get(name, 0)]


def amount(value: int) -> str:
    """Return a number in three digits with a unit: ``6.74 G``; a small one as it is."""
    for scale, unit in UNITS:
        if value >= scale * 0.9995:
            whole = value / scale
            return f"{whole:.0f} {unit}" if whole >= 100 else f"{whole:.3g} {unit}"
    return f"{value:,}"
