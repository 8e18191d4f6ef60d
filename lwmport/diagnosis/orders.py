"""The order in which the slices of one array come in another."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from lwmport.diagnosis.blockwise import rows_at_once
from lwmport.types import Array

SMALLEST_HEAD: Final = 8
"""Below it an interleaved head is no other order than a few exchanged channels."""

SEED: Final = 0
"""Of the directions that slices are told apart by."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """How slices are moved: ``kind`` is ``interleaved``, ``halves`` or ``reordered``; ``says`` what that means."""

    kind: str
    says: str


def order_of(right: Array, found: Array, axis: int, tolerance: float) -> Order | None:
    """Return the order of the slices along an axis, None if they are others or in their own places."""
    if right.shape[axis] < 2:
        return None
    one, other = (np.moveaxis(array, axis, 0) for array in (right, found))
    places = _places(one, other, tolerance)
    if places is None or (places == np.arange(len(places))).all():
        return None
    return _said(places)


def _places(right: Array, found: Array, tolerance: float) -> Array | None:
    """Return for each slice found the place of the right one that it equals, None if one equals none."""
    marks, others = _marks(right), _marks(found)
    sorted_right, sorted_found = np.argsort(marks), np.argsort(others)
    scale = max(np.abs(marks).max(), np.abs(others).max())
    if np.abs(marks[sorted_right] - others[sorted_found]).max() > 100 * tolerance * scale + 1e-30:
        return None
    places = np.empty(len(marks), np.int64)
    places[sorted_found] = sorted_right
    limit = tolerance * float(np.abs(right).max())
    for cut in rows_at_once(found.shape):
        if (np.abs(found[cut].astype(np.float64) - right[places[cut]]) > limit).any():
            return None
    same = [bool((np.abs(found[at].astype(np.float64) - right[at]) <= limit).all()) for at in range(len(places))]
    places[same] = np.flatnonzero(same)
    return places if len(set(places.tolist())) == len(places) else None


def _marks(slices: Array) -> Array:
    """Return one number for each slice: its product with a direction that was drawn once."""
    random = np.random.default_rng(SEED)
    direction = random.standard_normal(int(np.prod(slices.shape[1:])))
    parts = [
        slices[cut].reshape(-1, direction.size).astype(np.float64) @ direction for cut in rows_at_once(slices.shape)
    ]
    return np.concatenate(parts)


def _said(places: Array) -> Order:
    count = len(places)
    for size in _head_sizes(count):
        rows = np.arange(count).reshape(-1, size)
        pairs = rows.reshape(-1, size // 2, 2).swapaxes(1, 2).ravel()
        if size >= SMALLEST_HEAD and ((places == pairs).all() or (places == np.argsort(pairs)).all()):
            return Order(kind="interleaved", says=f"even and odd channels apart, or together, in heads of {size}")
        if (places == np.roll(rows, size // 2, axis=1).ravel()).all():
            return Order(kind="halves", says=f"the halves of each {size} exchanged")
    moved = np.flatnonzero(places != np.arange(count))
    if (places == np.arange(count)[::-1]).all():
        return Order(kind="reordered", says="the reversed order")
    if len(moved) == 2:
        return Order(kind="reordered", says=f"slices {moved[0]} and {moved[1]} exchanged")
    return Order(kind="reordered", says=f"{len(moved)} of {count} slices in other places")


def _head_sizes(count: int) -> Iterator[int]:
    return (size for size in range(count, 3, -1) if count % size == 0 and size % 2 == 0)
