"""Arrays held against each other a few million elements at a time: a weight may be mapped from a file of gigabytes."""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from lwmport.types import Array

BLOCK: Final = 1 << 21
"""Elements of a block: 16 MiB in float64."""


def rows_at_once(shape: tuple[int, ...]) -> Iterator[slice]:
    """Return cuts of the first axis, each of about a block."""
    rows = shape[0] if shape else 1
    step = max(1, BLOCK * rows // max(1, int(np.prod(shape))))
    return (slice(at, at + step) for at in range(0, rows, step))


def every(test: Callable[[Array, Array], bool], one: Array, other: Array) -> bool:
    """Return whether a test holds of each block of two arrays of one shape; the first that it fails on ends it."""
    one, other = np.atleast_1d(one), np.atleast_1d(other)
    return one.shape == other.shape and all(test(one[cut], other[cut]) for cut in rows_at_once(one.shape))


def close(one: Array, other: Array, tolerance: float) -> bool:
    """Return whether two arrays are the same up to a share of the larger magnitude of each block."""

    def test(a: Array, b: Array) -> bool:
        a, b = a.astype(np.float64), b.astype(np.float64)
        largest = max(np.abs(a).max(initial=0), np.abs(b).max(initial=0))
        same = a == b
        return bool(same.all() or (np.isfinite(largest) and (np.abs(a - b) <= tolerance * largest).all()))

    return every(test, one, other)


def sums(one: Array, other: Array) -> tuple[float, float, float, float, float]:
    """Return the sums of a, b, a a, a b and b b over all elements, in float64."""
    one, other = np.atleast_1d(one), np.atleast_1d(other)
    total = np.zeros(5)
    for cut in rows_at_once(one.shape):
        a, b = one[cut].astype(np.float64), other[cut].astype(np.float64)
        total += (a.sum(), b.sum(), (a * a).sum(), (a * b).sum(), (b * b).sum())
    return float(total[0]), float(total[1]), float(total[2]), float(total[3]), float(total[4])
