"""A product with a large kernel, on a few of its rows: what one cause explains of all rows it explains of these."""

from dataclasses import replace
from typing import Final

import numpy as np

from lwmport.diagnosis.evidence import Evidence
from lwmport.diagnosis.formulas.linear import LINEAR
from lwmport.diagnosis.reading import given, is_constant, plain, with_input
from lwmport.types import Array

LARGE: Final = 1 << 22
"""Elements of a kernel from which each product takes a while."""

ROWS: Final = 8


def lighter(evidence: Evidence) -> Evidence:
    """Return the evidence with a few rows of the input and of both outputs, where the kernel is large."""
    side, reference, observed = evidence.expected, evidence.reference, evidence.observed
    if side is None or plain(side.type) not in LINEAR or reference.shape != observed.shape or reference.ndim < 2:
        return evidence
    x, kernel = given(side, 0), given(side, 1)
    if x is None or kernel is None or kernel.ndim != 2 or kernel.size < LARGE or not is_constant(side, 1):
        return evidence
    flat, right, wrong = (one.reshape(-1, one.shape[-1]) for one in (x, reference, observed))
    if len(flat) != len(right) or len(flat) <= ROWS:
        return evidence
    rows = _rows(right, wrong)
    return replace(
        evidence, expected=with_input(0, flat[rows])(side), reference=right[rows], observed=wrong[rows], found=None
    )


def _rows(right: Array, wrong: Array) -> Array:
    """Return the rows that differ most, and as many that are spread evenly."""
    differ = np.abs(wrong.astype(np.float64) - right).max(axis=1)
    worst = np.argsort(np.nan_to_num(differ, nan=np.inf))[-ROWS // 2 :]
    return np.union1d(worst, np.linspace(0, len(right) - 1, ROWS // 2).astype(np.int64))
