"""Boxes stand clear of each other, below what leads to them, and the same every time."""

from itertools import combinations

import pytest

from lwmport.reports.comparison.layout import GAP_Y, WIDEST, Laid, lay_out

pytest.importorskip("fast_sugiyama")

SIZES = [(60.0, 20.0), (200.0, 90.0), (40.0, 20.0), (80.0, 30.0), (90.0, 30.0)]
EDGES = [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (0, 4)]


def clear(found: Laid, sizes: list[tuple[float, float]]) -> bool:
    boxes = [(x, y, x + sizes[number][0], y + sizes[number][1]) for number, (x, y) in found.corners.items()]
    return all(a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1] for a, b in combinations(boxes, 2))


def test_boxes_are_clear_and_in_the_order_of_the_edges() -> None:
    found = lay_out(SIZES, EDGES)
    assert clear(found, SIZES)
    for one, other in EDGES:
        assert found.corners[one][1] + SIZES[one][1] < found.corners[other][1]
    assert min(x for x, _ in found.corners.values()) >= 0
    assert max(x + SIZES[number][0] for number, (x, _) in found.corners.items()) <= found.width + 1e-6


def test_every_edge_has_a_way_and_a_long_one_bends() -> None:
    found = lay_out(SIZES, EDGES)
    assert set(found.routes) == set(EDGES)
    assert len(found.routes[0, 4]) > 2
    assert len(found.routes[3, 4]) == 2


def test_a_circle_is_drawn_too() -> None:
    found = lay_out(SIZES[:3], [(0, 1), (1, 2), (2, 0)])
    assert clear(found, SIZES[:3])
    assert set(found.routes) == {(0, 1), (1, 2), (2, 0)}


def test_boxes_without_edges_fill_rows() -> None:
    sizes = [(100.0, 20.0)] * 30
    found = lay_out(sizes, [])
    assert clear(found, sizes)
    assert found.width <= WIDEST
    assert found.height > GAP_Y


def test_numbers_of_boxes_need_not_begin_at_none() -> None:
    sizes = [(50.0, 20.0)] * 8
    found = lay_out(sizes, [(7, 3), (3, 5), (7, 5)])
    assert set(found.corners) == set(range(8))
    assert clear(found, sizes)


def test_the_same_graph_is_placed_the_same_way() -> None:
    assert lay_out(SIZES, EDGES) == lay_out(SIZES, reversed(EDGES))
