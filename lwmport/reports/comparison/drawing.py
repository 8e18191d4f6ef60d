"""The tree of modules as boxes within boxes, and what hands values on to what; the template turns it into SVG."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from lwmport.reports.comparison.layout import Point, lay_out
from lwmport.reports.comparison.record import WITHIN, Comparison, Facts, ModuleDiff, Place, Sameness
from lwmport.wording import shown

LETTER: Final = 7.0
"""Pixels of a letter at the size of the drawing's text."""

LINE: Final = 16.0
PAD: Final = 10.0
HEAD: Final = 26.0
"""The height of a line, the room around a text, and the room above what is in a box."""

LONGEST: Final = 26
"""Letters of a line of a box; the whole text shows where one points at it."""

MOST: Final = 220
"""Boxes of a drawing that a person can read; of more, the innermost are folded, those that differ last."""

ARROW: Final = 5.0
NUMBER: Final = re.compile(r"\d+")
MOVING: Final = re.compile(
    "reshape|transpose|broadcast|slice|cast|squeeze|concat|convert|shape|expand|const", re.IGNORECASE
)
"""Operators that only move numbers, whatever a format calls them: a box names the others first."""

CLASSES: Final[Mapping[Sameness, str]] = {
    Sameness.SAME: "same",
    Sameness.CHANGED: "changed",
    Sameness.ONLY_A: "only-a",
    Sameness.ONLY_B: "only-b",
}
MARKS: Final[Mapping[Sameness, str]] = {
    Sameness.SAME: "",
    Sameness.CHANGED: "≠",
    Sameness.ONLY_A: "A",
    Sameness.ONLY_B: "B",
}
"""What is written on a box, for colours alone tell some people nothing."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """A line of text at a place."""

    x: float
    y: float
    text: str
    style: str


@dataclass(frozen=True, kw_only=True)
class Rect:
    """A box at a place; ``title`` shows where one points at it."""

    x: float
    y: float
    width: float
    height: float
    style: str
    title: str
    texts: tuple[Text, ...]
    lines: tuple["Line", ...] = ()


@dataclass(frozen=True, kw_only=True)
class Line:
    """An edge: the path of an SVG, and its arrow. Those in a box are drawn on it, and below what is in it."""

    path: str
    style: str


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Everything to draw, the outer boxes first."""

    width: float
    height: float
    rects: tuple[Rect, ...]
    lines: tuple[Line, ...]
    folded: int
    summary: str


@dataclass(kw_only=True)
class _Box:
    """A module, some own operators of one, or inputs and outputs of the model."""

    key: Place
    lines: tuple[str, ...]
    status: Sameness
    title: str
    group: bool = False
    children: list["_Box"] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0
    at: dict[int, Point] = field(default_factory=dict)
    routes: list[tuple[tuple[Point, ...], Sameness]] = field(default_factory=list)


def drawing(found: Comparison, root: ModuleDiff) -> Drawing:
    """Return the drawing of a tree in which alike neighbours are one already.

    Raises:
        MissingExtraError: the library that places boxes is not installed.
    """
    tree, folded = _folded(root)
    edges = _edges(found, tree)
    inside = _box(tree)
    whole = replace(inside, group=False, children=[*_ends(found, edges), *(inside.children or [inside])])
    _place(whole, edges)
    rects: list[Rect] = []
    for child, corner in zip(whole.children, _corners(whole), strict=True):
        _draw(child, corner, rects)
    counts = Counter(rect.style.split()[-1] for rect in rects)
    summary = ", ".join(f"{counts[style]} {status}" for status, style in CLASSES.items() if counts[style])
    return Drawing(
        width=round(whole.width + 2 * PAD),
        height=round(whole.height + 2 * PAD),
        rects=tuple(rects),
        lines=_lines(whole, (0.0, 0.0)),
        folded=folded,
        summary=f"{len(rects)} boxes: {summary}",
    )


def _folded(root: ModuleDiff) -> tuple[ModuleDiff, int]:
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


def _box(module: ModuleDiff) -> _Box:
    times = f" ×{module.repeats}" if module.repeats > 1 else ""
    head = f"{_cropped(module.name)}{times}"
    if not module.children:
        return _Box(key=(module.path, 0), lines=(head, *_second(module)), status=module.status, title=_told(module))
    return _Box(
        key=(module.path, 0),
        lines=(head,),
        status=module.status,
        title=_told(module),
        group=True,
        children=[*_own(module), *map(_box, module.children)],
    )


def _own(module: ModuleDiff) -> Iterator[_Box]:
    """Yield the boxes of what a module with children does itself, by when it runs."""
    for number in sorted({*module.parts_a, *module.parts_b}):
        a, b = module.parts_a.get(number, {}), module.parts_b.get(number, {})
        status = module.status if module.status not in (Sameness.CHANGED, Sameness.SAME) else _status(a, b)
        if module.status is Sameness.SAME:
            status = Sameness.SAME
        words = _operators(a or b)
        told = f"operators of {module.title} itself\nA: {_operators(a, 99)}\nB: {_operators(b, 99)}"
        yield _Box(key=(module.path, number), lines=(_cropped(words),), status=status, title=told)


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


_Edges = Mapping[tuple[Place, Place], Sameness]


def _edges(found: Comparison, tree: ModuleDiff) -> _Edges:
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
    if _is_end(path):
        return (_pattern(path[0]),), 0
    found: tuple[str, ...] = ()
    for name in path:
        step = same.get((*found, name), (*found, name))
        if step not in kept:
            return found, 0
        found = step
    return found, part if kept[found].children else 0


def _is_end(path: tuple[str, ...]) -> bool:
    return bool(path) and path[0].startswith(("input: ", "output: "))


def _pattern(name: str) -> str:
    return NUMBER.sub("*", name)


def _ends(found: Comparison, edges: _Edges) -> Iterator[_Box]:
    """Yield the boxes of inputs and outputs; those that differ in a number alone are one."""
    used = {place[0][0] for edge in edges for place in edge if _is_end(place[0])}
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
            yield _Box(key=((name,), 0), lines=(text,), status=status, title=f"{shown(name)}{times}: {status}")


def _place(box: _Box, edges: _Edges) -> None:
    """Settle the size of a box, and where in it its children and their edges are."""
    if not box.children:
        longest = max(map(len, box.lines))
        mark = 18 if MARKS[box.status] else 0
        box.width = max(64.0, longest * LETTER + 2 * PAD + mark)
        box.height = len(box.lines) * LINE + PAD
        return
    for child in box.children:
        _place(child, edges)
    owner = {key: number for number, child in enumerate(box.children) for key in _keys(child)}
    between: dict[tuple[int, int], set[Sameness]] = {}
    for (one, other), status in edges.items():
        ends = owner.get(one), owner.get(other)
        if ends[0] is not None and ends[1] is not None and ends[0] != ends[1]:
            between.setdefault((ends[0], ends[1]), set()).add(status)
    laid = lay_out([(child.width, child.height) for child in box.children], between)
    head = HEAD if box.group else PAD
    inner = len(box.lines[0]) * LETTER + 24 if box.group else 0.0
    box.width = max(laid.width + 2 * PAD, inner)
    box.height = laid.height + head + PAD
    shift = (box.width - laid.width) / 2
    box.at = {number: (x + shift, y + head) for number, (x, y) in laid.corners.items()}
    box.routes = [
        (tuple((x + shift, y + head) for x, y in points), _together(between[edge]))
        for edge, points in laid.routes.items()
    ]


def _together(statuses: set[Sameness]) -> Sameness:
    """Return which side has an edge between two boxes; both have it, if each has one of those that it stands for."""
    return next(iter(statuses)) if len(statuses) == 1 else Sameness.SAME


def _keys(box: _Box) -> Iterator[Place]:
    if not box.group:
        yield box.key
    for child in box.children:
        yield from _keys(child)


def _corners(box: _Box) -> list[Point]:
    return [box.at[number] for number in range(len(box.children))]


def _lines(box: _Box, corner: Point) -> tuple[Line, ...]:
    x, y = corner
    return tuple(
        Line(path=_path([(px + x, py + y) for px, py in points]), style=CLASSES[status])
        for points, status in box.routes
    )


def _draw(box: _Box, corner: Point, rects: list[Rect]) -> None:
    x, y = corner
    texts = [
        Text(
            x=round(x + PAD, 1), y=round(y + 17 + number * LINE, 1), text=line, style="head" if number == 0 else "more"
        )
        for number, line in enumerate(box.lines)
    ]
    if MARKS[box.status]:
        texts.append(Text(x=round(x + box.width - 16, 1), y=round(y + 17, 1), text=MARKS[box.status], style="mark"))
    kind = "group" if box.group else "end" if _is_end(box.key[0]) else "leaf"
    rects.append(
        Rect(
            x=round(x, 1),
            y=round(y, 1),
            width=round(box.width, 1),
            height=round(box.height, 1),
            style=f"{kind} {CLASSES[box.status]}",
            title=box.title,
            texts=tuple(texts),
            lines=_lines(box, corner),
        )
    )
    for child, (cx, cy) in zip(box.children, _corners(box) if box.children else [], strict=True):
        _draw(child, (x + cx, y + cy), rects)


def _path(points: Iterable[Point]) -> str:
    """Return a smooth line through some points, with an arrow at its end."""
    (x, y), *rest = points
    words, last = [f"M{x:.1f} {y:.1f}"], y
    for px, py in rest:
        middle = (y + py) / 2
        words.append(f"C{x:.1f} {middle:.1f} {px:.1f} {middle:.1f} {px:.1f} {py:.1f}")
        last, x, y = y, px, py
    tip = ARROW if y >= last else -ARROW
    words.append(f"M{x - ARROW:.1f} {y - tip:.1f}L{x:.1f} {y:.1f}L{x + ARROW:.1f} {y - tip:.1f}")
    return "".join(words)
