"""How a tensor of another model lies in memory: the order and the sizes of its axes, next to the reference's value."""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import permutations
from math import prod
from typing import Final, TypeAlias

import numpy as np

from lwmport.types import Array

AXES: Final = 5
"""Axes, but for those of size 1, up to which orders are tried."""

SAMPLES: Final = 64
"""Elements that tell an order that does not fit before the rest is looked at."""

HUGE: Final = 1e4
"""Magnitude from which on a value of a mask is as good as infinite."""

MASKED: Final = 0.95
"""Part of a tensor up to which a mask may hide it; beyond it is made of large numbers."""

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class View:
    """A tensor out of a value of the reference: taken in the shape ``split``, its axes in the ``order``, as ``shape``.

    ``halves`` is the size of a head in whose last axis the pairs (2 i, 2 i + 1) come as (i, i + halves / 2), as other
    models lay out what is to be rotated; 0 for none.
    """

    split: Shape
    order: Shape
    shape: Shape
    halves: int = 0

    def of(self, value: Array) -> Array:
        """Return the tensor."""
        if self.halves:
            shape = value.shape
            value = value.reshape(-1, self.halves // 2, 2).swapaxes(1, 2).reshape(shape)
        return value.reshape(self.split).transpose(self.order).reshape(self.shape)

    def back(self, value: Array, shape: Shape) -> Array:
        """Return the value of the reference, in its shape, that a tensor stands for."""
        moved = value.reshape([self.split[axis] for axis in self.order])
        found = moved.transpose(np.argsort(self.order)).reshape(shape)
        return found.reshape(-1, 2, self.halves // 2).swapaxes(1, 2).reshape(shape) if self.halves else found

    def at(self, places: Array) -> Array:
        """Return where in the flat reference the elements at these places of the flat tensor are."""
        lengths = [self.split[axis] for axis in self.order]
        inside = np.unravel_index(places, lengths) if lengths else ()
        back = [inside[axis] for axis in np.argsort(self.order)]
        found = np.ravel_multi_index(back, self.split) if lengths else places
        if not self.halves:
            return np.asarray(found)
        head, rest = np.divmod(found, self.halves)
        second, pair = np.divmod(rest, self.halves // 2)
        return np.asarray(head * self.halves + 2 * pair + second)


def same(shape: Shape) -> View:
    """Return the view of a tensor that lies as the reference's value."""
    return View(split=shape, order=tuple(range(len(shape))), shape=shape)


def views(reference: Shape, shape: Shape, heads: Collection[int] = ()) -> Iterator[View]:
    """Yield the views in which a value of the reference has another shape, the likely ones first."""
    if prod(reference) != prod(shape):
        return
    seen = set[tuple[Shape, Shape, int]]()
    for halves in (0, *(size for size in heads if reference and reference[-1] % size == 0)):
        for split, order in _orders(longer(reference), longer(shape)):
            if (split, order, halves) not in seen:
                seen.add((split, order, halves))
                yield View(split=split, order=order, shape=shape, halves=halves)


def _orders(reference: Shape, shape: Shape) -> Iterator[tuple[Shape, Shape]]:
    yield reference, tuple(range(len(reference)))
    if len(reference) <= AXES:
        yield from ((reference, order) for order in permutations(range(len(reference))))
    if len(shape) <= AXES and len(shape) != len(reference):
        for order in permutations(range(len(shape))):
            yield tuple(shape[axis] for axis in order), tuple(map(int, np.argsort(order)))


def longer(shape: Shape) -> Shape:
    """Return a shape without its axes of size 1."""
    return tuple(size for size in shape if size != 1)


def settled(value: Array) -> Array:
    """Return a tensor as floats in which what a mask has made huge, or infinite, is infinite."""
    wide = value.astype(np.float64)
    if value.dtype.kind in "biu":
        return wide
    huge = np.abs(wide) >= HUGE
    return np.where(huge, np.copysign(np.inf, wide), wide) if huge.any() and huge.mean() < MASKED else wide


def error_of(value: Array, reference: Array) -> float:
    """Return the root mean square of a difference, relative to the reference's; infinite where only one is huge."""
    one, other = settled(value).reshape(-1), settled(reference).reshape(-1)
    with np.errstate(invalid="ignore"):
        difference = np.where(one == other, 0.0, one - other)
    if not np.isfinite(difference).all():
        return math.inf
    both = np.isfinite(other)
    scale = float(np.square(other[both]).sum())
    noise = float(np.square(difference).sum())
    return math.sqrt(noise / scale) if scale else (math.inf if noise else 0.0)


def places_of(size: int, count: int = SAMPLES) -> Array:
    """Return a few places in a flat tensor, the same ones every time."""
    return np.arange(size) if size <= count else np.unique(np.random.default_rng(0).integers(0, size, count))


def nearest(value: Array, reference: Array, share: float, heads: Collection[int] = ()) -> tuple[View, float] | None:
    """Return the first view of the reference from which a value is no farther than ``share``, and how far it is."""
    places = places_of(value.size)
    flat, others = value.reshape(-1)[places], reference.reshape(-1)
    for view in views(reference.shape, value.shape, heads):
        if error_of(flat, others[view.at(places)]) <= 4 * share:
            error = error_of(value, view.of(reference))
            if error <= share:
                return view, error
    return None


def likeliest(value: Array, reference: Array) -> View | None:
    """Return the view of the reference that a value resembles most, however little."""
    places = places_of(value.size, 4096)
    flat, others = value.reshape(-1)[places].astype(np.float64), reference.reshape(-1)
    flat = np.where(np.isfinite(flat), flat, 0)
    found = [(error_of(flat, others[view.at(places)]), view) for view in views(reference.shape, value.shape)]
    return min(found, key=lambda item: item[0])[1] if found else None
