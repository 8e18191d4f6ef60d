"""Integer outputs: exact, every one of them."""

import numpy as np

from lwmport.types import Array
from lwmport.validators.metrics import IndexMetrics, Mismatch
from lwmport.validators.ties import TieGap

LISTED = 100
"""Mismatches that are listed one by one; the count is of all."""


def index_metrics(reference: Array, candidate: Array, tie_gap: TieGap | None = None) -> IndexMetrics:
    """Return which integers differ, and how near a tie each listed one was.

    Args:
        reference: integers or booleans of any shape.
        candidate: the same shape and dtype.
        tie_gap: called as ``tie_gap(index, reference code, candidate code)`` for each listed mismatch.
    """
    wrong = np.flatnonzero(reference != candidate)
    indices = (tuple(map(int, np.unravel_index(flat, reference.shape))) for flat in wrong[:LISTED])
    listed = tuple(_mismatch(index, reference, candidate, tie_gap) for index in indices)
    gaps = [mismatch.gap for mismatch in listed if mismatch.gap is not None]
    return IndexMetrics(
        elements=reference.size,
        mismatches=len(wrong),
        mismatch_rate=len(wrong) / max(reference.size, 1),
        distinct_reference=int(np.unique(reference).size),
        listed=listed,
        largest_gap=max(gaps, default=None),
    )


def _mismatch(index: tuple[int, ...], reference: Array, candidate: Array, tie_gap: TieGap | None) -> Mismatch:
    expected, found = int(reference[index]), int(candidate[index])
    gap = None if tie_gap is None else tie_gap(index, expected, found)
    return Mismatch(index=index, reference=expected, candidate=found, gap=gap)
