"""Integer outputs: exact, every one of them, but for near ties where those are allowed."""

import numpy as np
from numpy.typing import NDArray

from lwmport.types import Array, Quantized
from lwmport.validators.metrics import IndexMetrics, Mismatch
from lwmport.validators.ties import distances

LISTED = 100
"""Mismatches that are listed one by one; the count is of all."""


def equal_share(reference: Array, candidate: Array) -> float:
    """Return which part of the integers is equal, 1 if there are none."""
    wrong = int(np.count_nonzero(reference != candidate))
    return (reference.size - wrong) / reference.size if reference.size else 1.0


def index_metrics(
    reference: Array, candidate: Array, quantized: Quantized | None = None, near: NDArray[np.bool_] | None = None
) -> IndexMetrics:
    """Return which integers differ, and how near a tie each listed one was.

    Args:
        reference: integers or booleans of any shape.
        candidate: the same shape and dtype.
        quantized: what the indices were made of, where it is known.
        near: where a difference is a near tie that is allowed; nowhere if not told.
    """
    wrong = np.flatnonzero(reference != candidate)
    measured = None if quantized is None else distances(quantized, reference, candidate)
    indices = (tuple(map(int, np.unravel_index(flat, reference.shape))) for flat in wrong[:LISTED])
    listed = tuple(
        Mismatch(
            index=index,
            reference=int(reference[index]),
            candidate=int(candidate[index]),
            tie_distance=None if measured is None else float(measured[index]),
        )
        for index in indices
    )
    return IndexMetrics(
        elements=reference.size,
        mismatches=len(wrong),
        near_ties=0 if near is None else int(near.sum()),
        mismatch_rate=len(wrong) / max(reference.size, 1),
        distinct_reference=int(np.unique(reference).size),
        listed=listed,
        largest_tie_distance=None if measured is None or not len(wrong) else float(measured.max()),
    )
