"""How one constant came from another: zeroed, scaled, transposed, in another order, clipped, rounded, or replaced.

Each kind is tested only after those that are more special: a transposed kernel is also one with other values.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from lwmport.diagnosis.blockwise import close, every, sums
from lwmport.diagnosis.orders import order_of
from lwmport.diagnosis.rounded import rounding_of
from lwmport.types import Array

FEWEST: Final = 16
"""Elements from which values can be wholly other ones of alike statistics."""

UNLIKE: Final = 3.0
"""Deviations of the correlation of unrelated values, 1 / sqrt(n), below which they are unrelated."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What was done to a constant.

    Attributes:
        kind: ``zeroed``, ``partly zeroed``, ``scaled``, ``transposed``, ``relaid``, ``interleaved``, ``halves``,
            ``reordered``, ``ones``, ``clipped``, ``rounded``, ``replaced``.
        says: the same as the end of a sentence about it.
        factor: what it was scaled by.
    """

    kind: str
    says: str
    factor: float = 1.0


def change_of(right: Array, found: Array, tolerance: float) -> Change | None:
    """Return what made a constant of the right one, None where that is not known.

    Both have one shape, at least two elements, and differ by more than the tolerance, a share of the magnitude.
    """
    if not (np.isfinite(right).all() and np.isfinite(found).all()):
        return None
    for test in (_zeroed, _scaled, _transposed, _reordered, _flipped, _ones, _clipped, _partly_zeroed, _rounded):
        change = test(right, found, tolerance)
        if change is not None:
            return change
    return _replaced(right, found, tolerance)


def _zeroed(_: Array, found: Array, __: float) -> Change | None:
    return None if found.any() else Change(kind="zeroed", says="is all zeros", factor=0.0)


def _scaled(right: Array, found: Array, tolerance: float) -> Change | None:
    _, _, _, cross, power = sums(found, right)
    factor = cross / power if power else 0.0
    if (
        factor == 0
        or (0 < factor < 1 and has_one_magnitude(right))
        or not every(lambda a, b: close(a.astype(np.float64) * factor, b, tolerance), right, found)
    ):
        return None
    return Change(kind="scaled", says=f"is {factor:.6g} times the right one", factor=factor)


def has_one_magnitude(values: Array) -> bool:
    """Return whether all values but zeros are alike in size: to scale them down is to clip them."""
    sizes = np.abs(values[values != 0])
    return bool(sizes.max() == sizes.min())


def _axis_orders(ndim: int) -> Iterator[tuple[int, ...]]:
    """Return the other orders of axes, those that exchange two first."""
    orders = itertools.permutations(range(ndim)) if 2 <= ndim <= 4 else iter(())
    plain = tuple(range(ndim))
    yield from sorted((one for one in orders if one != plain), key=_moved)


def _moved(order: tuple[int, ...]) -> int:
    return sum(at != axis for at, axis in enumerate(order))


def _transposed(right: Array, found: Array, tolerance: float) -> Change | None:
    for order in _axis_orders(right.ndim):
        turned = right.transpose(order)
        if turned.shape == found.shape and close(turned, found, tolerance):
            kind = "transposed" if _moved(order) == 2 else "relaid"
            return Change(kind=kind, says=f"is the right one with its axes in the order {order}")
    for order in _axis_orders(right.ndim) if right.size <= 1 << 24 else ():
        if close(right.transpose(order).reshape(found.shape), found, tolerance):
            kind = "transposed" if right.ndim == 2 else "relaid"
            return Change(kind=kind, says=f"has its values in the order of the axes {order} under the shape of another")
    return None


def _reordered(right: Array, found: Array, tolerance: float) -> Change | None:
    for axis in range(right.ndim):
        order = order_of(right, found, axis, tolerance)
        if order is not None:
            return Change(kind=order.kind, says=f"has {order.says} along axis {axis}")
    return None


def _flipped(right: Array, found: Array, tolerance: float) -> Change | None:
    axes = [axis for axis in range(right.ndim) if right.shape[axis] > 1]
    for count in range(2, len(axes) + 1):
        for some in itertools.combinations(axes, count):
            if close(np.flip(right, some), found, tolerance):
                return Change(kind="reordered", says=f"is reversed along the axes {some}")
    return None


def _ones(_: Array, found: Array, __: float) -> Change | None:
    return Change(kind="ones", says="is all ones") if (found == 1).all() else None


def _clipped(right: Array, found: Array, tolerance: float) -> Change | None:
    low, high = float(found.min()), float(found.max())
    if found.size < 4 or high - low <= tolerance * max(abs(low), abs(high)):
        return None
    least = tolerance * max(abs(low), abs(high))
    at_bound = int((right < low - least).sum()) + int((right > high + least).sum())
    if (
        at_bound < 2
        or has_one_magnitude(right)
        or not every(lambda a, b: close(np.clip(a, low, high), b, tolerance), right, found)
    ):
        return None
    return Change(kind="clipped", says=f"is clipped to {low:.4g} .. {high:.4g}, which changes {at_bound} values")


def _partly_zeroed(right: Array, found: Array, tolerance: float) -> Change | None:
    limit = tolerance * np.abs(right).max()
    other = np.abs(right - found) > limit
    count = int(other.sum())
    if not count or found[other].any() or count == other.size:
        return None
    if count > 2 and (found.min() >= -limit > right.min() or found.max() <= limit < right.max()):
        return None  # cut at zero, as far as the tolerance tells
    return Change(kind="partly zeroed", says=f"has {count} of {other.size} values at zero")


def _rounded(right: Array, found: Array, _: float) -> Change | None:
    to = rounding_of(right, found)
    return None if to is None else Change(kind="rounded", says=f"holds {found.dtype} values that are rounded to {to}")


def _replaced(right: Array, found: Array, _: float) -> Change | None:
    """Return that all values are others, if they are spread alike and have nothing to do with the right ones."""
    count = right.size
    if count < FEWEST:
        return None
    a, b, aa, ab, bb = (one / count for one in sums(right, found))
    spreads = np.sqrt(max(aa - a * a, 0)), np.sqrt(max(bb - b * b, 0))
    if min(spreads) == 0 or not 0.5 < spreads[1] / spreads[0] < 2 or abs(a - b) > 2 * max(spreads):
        return None
    related = abs((ab - a * b) / (spreads[0] * spreads[1]))
    if related > min(0.6, UNLIKE / np.sqrt(count) + 0.02) or _same_values(right, found):
        return None
    return Change(kind="replaced", says="holds wholly other values of like mean and deviation")


def _same_values(right: Array, found: Array) -> bool:
    """Return whether both hold the same values in some order, as far as their sums of powers tell."""
    powers: tuple[Callable[[Array], Array], ...] = (np.abs, np.square, lambda x: np.abs(x) ** 3)
    pairs = [[float(power(one.astype(np.float64)).sum()) for one in (right, found)] for power in powers]
    return all(abs(one - other) <= 1e-6 * max(one, other) for one, other in pairs)
