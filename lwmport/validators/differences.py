"""Elementwise differences in float64, a piece at a time, so that two huge tensors never need a third."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lwmport.types import Array, Tolerance

PIECE = 1 << 22
"""Elements a piece: 32 MiB for each float64 temporary."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One piece of two flattened tensors. All arrays are 1-D and of one length.

    ``error`` is |candidate - reference| in float64. Where that number does not exist (a NaN on either side, or
    infinities that differ) it is infinite: no tolerance admits it. Infinities that agree have error 0.
    """

    offset: int
    reference: Array
    candidate: Array
    error: Array
    finite: Array

    def limit(self, tolerance: Tolerance) -> Array:
        """Return the admitted error of every element, float64: ``atol + rtol * |reference|``.

        The relative part is dropped where the reference is infinite, or everything would pass there.
        """
        scale = np.where(np.isfinite(self.reference), np.abs(self.reference), 0.0)
        return np.asarray(tolerance.atol + tolerance.rtol * scale)


def differences(reference: Array, candidate: Array) -> Iterator[Difference]:
    """Yield the differences of two tensors of one shape, in C order, `PIECE` elements at a time."""
    flat_reference, flat_candidate = reference.reshape(-1), candidate.reshape(-1)
    for start in range(0, flat_reference.size, PIECE):
        piece = slice(start, start + PIECE)
        yield _difference(start, flat_reference[piece], flat_candidate[piece])


def _difference(offset: int, reference: Array, candidate: Array) -> Difference:
    reference = reference.astype(np.float64)
    candidate = candidate.astype(np.float64)
    finite = np.isfinite(reference) & np.isfinite(candidate)
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(candidate - reference)
    error[~finite] = np.inf
    error[~finite & (reference == candidate)] = 0.0
    return Difference(offset=offset, reference=reference, candidate=candidate, error=error, finite=finite)
