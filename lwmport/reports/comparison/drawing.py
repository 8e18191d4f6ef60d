"""The boxes at their places, and the lines between them; the template turns them into SVG."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from lwmport.reports.comparison.boxes import Box, Edges, box_of, edges_of, ends_of, folded, is_end
from lwmport.reports.comparison.layout import Point, lay_out
from lwmport.reports.comparison.record import Comparison, ModuleDiff, Place, Sameness

LETTER: Final = 7.0
"""Pixels of a letter at the size of the drawing's text."""

LINE: Final = 16.0
PAD: Final = 10.0
HEAD: Final = 26.0
"""The height of a line, the room around a text, and the room above what is in a box."""

ARROW: Final = 5.0
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


def drawing(found: Comparison, root: ModuleDiff) -> Drawing:
    """Return the drawing of a tree in which alike neighbours are one already.

    Raises:
        MissingExtraError: the library that places boxes is not installed.
    """
    tree, left = folded(root)
    edges = edges_of(found, tree)
    inside = box_of(tree, alone=not (found.a.vocabulary and found.b.vocabulary))
    whole = replace(inside, group=False, children=[*ends_of(found, edges), *(inside.children or [inside])])
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
        folded=left,
        summary=f"{len(rects)} boxes: {summary}",
    )


def _place(box: Box, edges: Edges) -> None:
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
    inner = len(box.lines[0]) * LETTER + 4 * PAD if box.group else 0.0
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


def _keys(box: Box) -> Iterator[Place]:
    if not box.group:
        yield box.key
    for child in box.children:
        yield from _keys(child)


def _corners(box: Box) -> list[Point]:
    return [box.at[number] for number in range(len(box.children))]


def _lines(box: Box, corner: Point) -> tuple[Line, ...]:
    x, y = corner
    return tuple(
        Line(path=_path([(px + x, py + y) for px, py in points]), style=CLASSES[status])
        for points, status in box.routes
    )


def _draw(box: Box, corner: Point, rects: list[Rect]) -> None:
    x, y = corner
    texts = [
        Text(
            x=round(x + PAD, 1), y=round(y + 17 + number * LINE, 1), text=line, style="head" if number == 0 else "more"
        )
        for number, line in enumerate(box.lines)
    ]
    if MARKS[box.status]:
        texts.append(Text(x=round(x + box.width - 16, 1), y=round(y + 17, 1), text=MARKS[box.status], style="mark"))
    kind = "group" if box.group else "end" if is_end(box.key[0]) else "leaf"
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
