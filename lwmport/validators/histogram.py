"""How many elements err by how much: a histogram of absolute errors over log10 bins."""

from dataclasses import dataclass

import numpy as np

from lwmport.types import Array

BINS_PER_DECADE = 4
LOWEST = -20 * BINS_PER_DECADE
HIGHEST = 10 * BINS_PER_DECADE
"""Errors below 1e-20 or above 1e10 are counted in the outermost bins."""


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Counts of absolute errors.

    Bin ``i`` holds errors from ``10 ** ((start + i) / 4)`` up to ``10 ** ((start + i + 1) / 4)``. ``zeros`` counts
    the elements that agree to the last bit of float64, ``incomparable`` those with a NaN or an unequal infinity.
    """

    start: int
    counts: tuple[int, ...]
    zeros: int
    incomparable: int


class Counter:
    """Gathers a `Histogram` from pieces."""

    def __init__(self) -> None:
        self._bins = np.zeros(HIGHEST - LOWEST + 1, dtype=np.int64)
        self._zeros = 0
        self._incomparable = 0

    def add(self, error: Array) -> None:
        """Count a piece of absolute errors, float64; infinite ones are incomparable."""
        positive = error[(error > 0) & np.isfinite(error)]
        bins = np.floor(np.log10(positive) * BINS_PER_DECADE).astype(np.int64)
        self._bins += np.bincount(np.clip(bins, LOWEST, HIGHEST) - LOWEST, minlength=self._bins.size)
        self._zeros += int(np.count_nonzero(error == 0))
        self._incomparable += int(np.count_nonzero(np.isinf(error)))

    def result(self) -> Histogram:
        """Return the histogram, cut to its occupied bins."""
        occupied = np.flatnonzero(self._bins)
        first, end = (int(occupied[0]), int(occupied[-1]) + 1) if occupied.size else (0, 0)
        return Histogram(
            start=first + LOWEST,
            counts=tuple(int(count) for count in self._bins[first:end]),
            zeros=self._zeros,
            incomparable=self._incomparable,
        )
