"""The tree of modules as boxes within boxes, and what hands values on to what, before anything has a place."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from lwmport.reports.comparison.facts import WITHIN, Facts
from lwmport.reports.comparison.layout import Point
from lwmport.reports.comparison.record import Comparison, ModuleDiff, Place, Sameness
from lwmport.wording import shown

LONGEST: Final = 26
"""Letters of a line of a box; the whole text shows where one points at it."""

MOST: Final = 220
"""Boxes of a drawing that a person can read; of more, the innermost are folded, those that differ last."""

NUMBER: Final = re.compile(r"\d+")
MOVING: Final = re.compile(
    "reshape|transpose|broadcast|slice|cast|squeeze|concat|convert|shape|expand|const", re.IGNORECASE
)
"""Operators that only move numbers, whatever a format calls them: a box names the others first."""


Edges: TypeAlias = Mapping[tuple[Place, Place], Sameness]
"""Which place hands values on to which, and which side has it so."""


@dataclass(kw_only=True)
class Box:
    """A module, some own operators of one, or inputs and outputs of the model."""

    key: Place
    lines: tuple[str, ...]
    status: Sameness
    title: str
    group: bool = False
    children: list["Box"] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0
    at: dict[int, Point] = field(default_factory=dict)
    routes: list[tuple[tuple[Point, ...], Sameness]] = field(default_factory=list)


def folded(root: ModuleDiff) -> tuple[ModuleDiff, int]:
    """Return a tree of at most `MOST` modules, and how many were folded into those that hold them."""
    whole = sum(1 for _ in root.walk())
    deepest = max(len(module.path) for module in root.walk())
    for keep in (False, True):
        for depth in range(deepest, 0, -1):
            if sum(1 for _ in root.walk()) <= MOST:
                break
            root = _cut(root, depth, changed_too=keep)
    if sum(1 for _ in root.walk()) > MOST:
        root = replace(root, children=root.children[: MOST - 1])
    return root, whole - sum(1 for _ in root.walk())


def _cut(module: ModuleDiff, depth: int, *, changed_too: bool) -> ModuleDiff:
    """Return a module without the modules in those at a depth, if they are the same or all are to be folded."""
    if len(module.path) >= depth and (changed_too or module.tree_status is Sameness.SAME):
        return replace(module, children=(), status=module.tree_status)
    return replace(module, children=tuple(_cut(child, depth, changed_too=changed_too) for child in module.children))


def box_of(module: ModuleDiff, *, alone: bool) -> Box:
    """Return the box of a module, with those of what is in it; ``alone`` if one side alone has operators at all."""
    times = f" ×{module.repeats}" if module.repeats > 1 else ""
    head = f"{_cropped(module.name)}{times}"
    if not module.children:
        return Box(key=(module.path, 0), lines=(head, *_second(module)), status=module.status, title=_told(module))
    return Box(
        key=(module.path, 0),
        lines=(head,),
        status=module.status,
        title=_told(module),
        group=True,
        children=[*_own(module, alone=alone), *(box_of(child, alone=alone) for child in module.children)],
    )


def _own(module: ModuleDiff, *, alone: bool) -> Iterator[Box]:
    """Yield the boxes of what a module with children does itself, by when it runs."""
    for number in sorted({*module.parts_a, *module.parts_b}):
        a, b = module.parts_a.get(number, {}), module.parts_b.get(number, {})
        status = module.status
        if status is Sameness.CHANGED or (status is Sameness.SAME and not alone and not (a and b)):
            status = _status(a, b)
        words = _operators(a or b)
        told = f"operators of {module.title} itself\nA: {_operators(a, 99)}\nB: {_operators(b, 99)}"
        yield Box(key=(module.path, number), lines=(_cropped(words),), status=status, title=told)


def _status(a: Mapping[str, int], b: Mapping[str, int]) -> Sameness:
    if a and b:
        return Sameness.SAME if dict(a) == dict(b) else Sameness.CHANGED
    return Sameness.ONLY_A if a else Sameness.ONLY_B


def _second(module: ModuleDiff) -> tuple[str, ...]:
    """Return the second line of a box: the shape of its largest parameter, else operators; of both, if they differ."""
    a, b = _short(module.facts_a), _short(module.facts_b)
    if module.status is Sameness.ONLY_B or not a:
        a, b = b, ""
    words = f"{a} → {b}" if module.status is Sameness.CHANGED and b and b != a else a
    return (_cropped(words),) if words else ()


def _short(facts: Facts) -> str:
    largest = max(facts.parameters, key=lambda tensor: tensor.elements, default=None)
    if largest is not None and largest.shape is not None:
        return "×".join(map(str, largest.shape)) or "scalar"
    return _operators(facts.operators)


def _operators(counts: Mapping[str, int], most: int = 3) -> str:
    own = {name: count for name, count in counts.items() if WITHIN not in name}
    telling = sorted(own.items(), key=lambda item: bool(MOVING.search(item[0])))
    words = [f"{name} ×{count}" if count > 1 else name for name, count in telling[:most]]
    rest = len(own) - most
    return ", ".join(words) + (f" +{rest}" if rest > 0 else "") or "nothing"


def _told(module: ModuleDiff) -> str:
    """Return what shows where one points at a box."""
    paths = [f"{side}: {'/'.join(path) or '(the model itself)'}"
             for side, path in (("A", module.a), ("B", module.b)) if path is not None]  # fmt: skip
    lines = [
        f"{module.title}: {module.status}",
        *paths,
        f"matched by {module.matched_by}" if module.matched_by else "",
        *(f"{change.what} {change.name}: {change.a or 'none'} → {change.b or 'none'}" for change in module.changes[:8]),
        f"and {len(module.changes) - 8} more" if len(module.changes) > 8 else "",
    ]
    return "\n".join(shown(line) for line in lines if line)


def _cropped(text: str) -> str:
    text = shown(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def edges_of(found: Comparison, tree: ModuleDiff) -> Edges:
    """Return the edges between boxes that are drawn, and which side has them."""
    kept = {module.path: module for module in tree.walk()}
    same = {}
    for module in tree.walk():
        for number in module.numbers[1:]:
            same[(*module.path[:-1], number)] = module.path
    a, b = ({(_drawn(one, kept, same), _drawn(other, kept, same)) for one, other in edges
             if not _leads_on(one[0], other[0], same)}
            for edges in (found.edges_a, found.edges_b))  # fmt: skip
    alone = not (found.a.vocabulary and found.b.vocabulary)
    return {
        edge: Sameness.SAME if alone or (edge in a and edge in b) else Sameness.ONLY_A if edge in a else Sameness.ONLY_B
        for edge in sorted(a | b)
    }


def _leads_on(one: tuple[str, ...], other: tuple[str, ...], same: Mapping[tuple[str, ...], tuple[str, ...]]) -> bool:
    """Return whether an edge leads from one of several alike modules to another: both are the same box."""
    for length in range(1, min(len(one), len(other)) + 1):
        a, b = one[:length], other[:length]
        if a != b:
            return same.get(a, a) == same.get(b, b)
    return False


def _drawn(
    place: Place, kept: Mapping[tuple[str, ...], ModuleDiff], same: Mapping[tuple[str, ...], tuple[str, ...]]
) -> Place:
    """Return the place of the box that stands for a place: of alike modules the first, of folded ones their holder."""
    path, part = place
    if is_end(path):
        return (_pattern(path[0]),), 0
    found: tuple[str, ...] = ()
    for name in path:
        step = same.get((*found, name), (*found, name))
        if step not in kept:
            return found, 0
        found = step
    return found, part if kept[found].children else 0


def is_end(path: tuple[str, ...]) -> bool:
    """Return whether a place is an input or an output of the model."""
    return bool(path) and path[0].startswith(("input: ", "output: "))


def _pattern(name: str) -> str:
    return NUMBER.sub("*", name)


def ends_of(found: Comparison, edges: Edges) -> Iterator[Box]:
    """Yield the boxes of inputs and outputs; those that differ in a number alone are one."""
    used = {place[0][0] for edge in edges for place in edge if is_end(place[0])}
    for word, a, b in (
        ("input: ", found.a.inputs, found.b.inputs),
        ("output: ", found.a.outputs, found.b.outputs),
    ):
        names_a, names_b = (Counter(_pattern(f"{word}{tensor.name}") for tensor in side) for side in (a, b))
        changed = {_pattern(f"{word}{change.name}") for change in found.interface if change.what == word.strip(": ")}
        for name in dict.fromkeys((*names_a, *names_b)):
            if name not in used:
                continue
            status = Sameness.ONLY_B if name not in names_a else Sameness.ONLY_A if name not in names_b else None
            status = None if not (found.a.vocabulary and found.b.vocabulary) else status
            status = status or (Sameness.CHANGED if name in changed else Sameness.SAME)
            count = max(names_a[name], names_b[name])
            times = f" ×{count}" if count > 1 else ""
            text = f"{_cropped(name.removeprefix(word))}{times}"
            yield Box(key=((name,), 0), lines=(text,), status=status, title=f"{shown(name)}{times}: {status}")
