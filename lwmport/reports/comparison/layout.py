"""Where boxes go: layers of a directed graph by fast-sugiyama, with room for boxes of any size.

The library settles layers, their order, and the bends of long edges, for vertices of one size. The boxes of a layer are
then moved apart to what they need, and towards their neighbours.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from lwmport import extras

GAP_X: Final = 18.0
GAP_Y: Final = 26.0
"""Between neighbours in a layer, and between layers, in pixels."""

BEND: Final = 10.0
"""The width that a long edge takes in a layer that it passes."""

WIDEST: Final = 860.0
"""Pixels in a row of parts that are not connected; a wider part has a row of its own."""

SWEEPS: Final = 4

Point: TypeAlias = tuple[float, float]
Edge: TypeAlias = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Laid:
    """Where boxes are, by their upper left corners, what they take in all, and the points of each edge."""

    corners: Mapping[int, Point]
    width: float
    height: float
    routes: Mapping[Edge, tuple[Point, ...]]


def check_installed() -> None:
    """Return if the library is there.

    Raises:
        MissingExtraError: it is not; the message holds the line that installs it.
    """
    extras.check_installed("fast_sugiyama")


def lay_out(sizes: Sequence[Point], edges: Iterable[Edge]) -> Laid:
    """Return where boxes of some sizes go; an edge leads from one to another, by number.

    Raises:
        MissingExtraError: the library is not installed.
    """
    found = sorted({edge for edge in edges if edge[0] != edge[1]})
    parts = [_component(sizes, part) for part in _solved(found)] if found else []
    connected = {number for edge in found for number in edge}
    parts += [_single(number, sizes[number]) for number in range(len(sizes)) if number not in connected]
    return _packed(sorted(parts, key=lambda part: min(part.corners)))


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A connected part of the graph in layers; negative numbers are bends of long edges."""

    rows: list[list[int]]
    links: list[Edge]
    edges: list[Edge]


def _solved(edges: list[Edge]) -> list[_Part]:
    """Return the connected parts, each in layers from the top, as the library settles them.

    The library numbers bends from the number of vertices on: vertices go by their places, and bends are negative here.
    """
    library: Any = extras.require("fast_sugiyama")
    names = sorted({number for edge in edges for number in edge})
    places = {name: place for place, name in enumerate(names)}

    def named(place: int) -> int:
        return names[place] if place < len(names) else -1 - place

    parts = []
    flat = [(places[one], places[other]) for one, other in edges]
    for positions, _, _, links in library.from_edges(flat, dummy_vertices=True, check_layout=False):
        heights = sorted({round(y, 3) for _, (_, y) in positions}, reverse=True)
        rows: list[list[int]] = [[] for _ in heights]
        for place, (_, y) in sorted(positions, key=lambda item: (item[1][0], item[0])):
            rows[heights.index(round(y, 3))].append(named(place))
        known = {number for row in rows for number in row}
        own = [edge for edge in edges if edge[0] in known]
        parts.append(_Part(rows=rows, links=[(named(one), named(other)) for one, other in links or ()], edges=own))
    return parts


def _component(sizes: Sequence[Point], part: _Part) -> Laid:
    real = {number for edge in part.edges for number in edge}
    widths = {number: sizes[number][0] if number in real else BEND for row in part.rows for number in row}
    heights = {number: sizes[number][1] if number in real else 0.0 for row in part.rows for number in row}
    centres = _centres(part, widths)
    tops, top = {}, 0.0
    for row in part.rows:
        tallest = max(heights[number] for number in row)
        for number in row:
            tops[number] = top + (tallest - heights[number]) / 2
        top += tallest + GAP_Y
    left = min(centres[number] - widths[number] / 2 for number in centres)
    right = max(centres[number] + widths[number] / 2 for number in centres)
    corners = {number: (centres[number] - widths[number] / 2 - left, tops[number]) for number in sorted(real)}
    middles = {number: (centres[number] - left, tops[number] + heights[number] / 2) for number in centres}
    routes = {}
    for edge, bends in _routes(part, real).items():
        first, last = edge
        down = tops[first] <= tops[last]
        start = (middles[first][0], tops[first] + (heights[first] if down else 0.0))
        end = (middles[last][0], tops[last] + (0.0 if down else heights[last]))
        routes[edge] = (start, *(middles[bend] for bend in bends), end)
    return Laid(corners=corners, width=right - left, height=top - GAP_Y, routes=routes)


def _centres(part: _Part, widths: Mapping[int, float]) -> dict[int, float]:
    """Return the middle of each box and bend: near its neighbours, and clear of what stands beside it."""
    near: dict[int, list[int]] = defaultdict(list)
    for one, other in part.links:
        near[one].append(other)
        near[other].append(one)
    centres: dict[int, float] = {}
    for row in part.rows:
        total = sum(widths[number] + GAP_X for number in row) - GAP_X
        at = -total / 2
        for number in row:
            centres[number] = at + widths[number] / 2
            at += widths[number] + GAP_X
    layer = {number: place for place, row in enumerate(part.rows) for number in row}
    for sweep in range(SWEEPS):
        step = 1 if sweep % 2 else -1
        for row in part.rows if step < 0 else part.rows[::-1]:
            wanted = {}
            for number in row:
                beside = [centres[other] for other in near[number] if layer[other] == layer[number] + step]
                wanted[number] = sum(beside) / len(beside) if beside else centres[number]
            _place_row(row, wanted, widths, centres)
    return centres


def _place_row(
    row: list[int], wanted: Mapping[int, float], widths: Mapping[int, float], centres: dict[int, float]
) -> None:
    """Move the boxes of a layer to where they are wanted, in their order and clear of each other."""
    edge = float("-inf")
    for number in row:
        centres[number] = max(wanted[number], edge + widths[number] / 2)
        edge = centres[number] + widths[number] / 2 + GAP_X
    drift = sum(wanted[number] - centres[number] for number in row) / len(row)
    for number in row:
        centres[number] += drift


def _routes(part: _Part, real: set[int]) -> dict[Edge, list[int]]:
    """Return the bends of each edge, from its start to its end."""
    near: dict[int, list[int]] = defaultdict(list)
    for one, other in part.links:
        near[one].append(other)
        near[other].append(one)
    chains: dict[Edge, list[int]] = {}
    for start in sorted(real):
        for first in near[start]:
            bends, before, at = [], start, first
            while at not in real:
                bends.append(at)
                following = [other for other in near[at] if other != before]
                if not following:
                    break
                before, at = at, following[0]
            chains.setdefault((start, at), bends)
    return {edge: chains.get(edge, []) for edge in part.edges}


def _single(number: int, size: Point) -> Laid:
    return Laid(corners={number: (0.0, 0.0)}, width=size[0], height=size[1], routes={})


def _packed(parts: list[Laid]) -> Laid:
    """Return parts that are not connected side by side, in rows."""
    corners: dict[int, Point] = {}
    routes: dict[Edge, tuple[Point, ...]] = {}
    left = top = tallest = width = 0.0
    for part in parts:
        if left and left + part.width > WIDEST:
            left, top, tallest = 0.0, top + tallest + GAP_Y, 0.0
        corners.update({number: (x + left, y + top) for number, (x, y) in part.corners.items()})
        routes.update({edge: tuple((x + left, y + top) for x, y in points) for edge, points in part.routes.items()})
        width, tallest = max(width, left + part.width), max(tallest, part.height)
        left += part.width + GAP_X
    return Laid(corners=corners, width=width, height=top + tallest, routes=routes)
