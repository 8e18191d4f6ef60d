"""Tables of cosines and sines whose positions were rounded to half precision."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from lwmport.diagnosis.rounded import ROUNDINGS
from lwmport.types import Array

EXACT: Final = {"float16": 2048, "bfloat16": 256}
"""dtype -> the position up to which all are exact: its significand has 11 or 8 bits."""

EXPLAINED: Final = 0.05
"""What may be left of an error that is explained, as a share of it."""


def half_positions(right: Array, found: Array) -> str | None:
    """Return the dtype that the positions of a table were rounded to, None if that does not explain its values."""
    error = _norm(found.astype(np.float64) - right)
    if right.ndim != 2 or not np.isfinite(found).all() or error == 0:
        return None
    for name in EXACT:
        for table in _tables(right, name):
            if _norm(found - table) <= EXPLAINED * error:
                return name
    return None


def _tables(right: Array, name: str) -> Iterator[Array]:
    """Return tables of rounded positions: rows of the right one, and the functions of rounded angles."""
    count = len(right)
    places = np.arange(count, dtype=np.float64)
    rounded = ROUNDINGS[name](places)
    yield right[np.minimum(rounded, count - 1).astype(np.int64)]
    angles = _angles(right)
    if angles is not None:
        steps, is_sine = angles
        for turns in (np.outer(rounded, steps), ROUNDINGS[name](np.outer(rounded, ROUNDINGS[name](steps)))):
            yield np.where(is_sine, np.sin(turns), np.cos(turns))


def _angles(right: Array) -> tuple[Array, Array] | None:
    """Return the angle of one position for each column and whether it holds sines, None if they are no such columns."""
    if len(right) < 3 or not np.isin(np.abs(right[0]), (0, 1)).all() or np.abs(right).max() > 1 + 1e-6:
        return None
    is_sine = right[0] == 0
    one = np.clip(right[1].astype(np.float64), -1, 1)
    steps = np.where(is_sine, np.arcsin(one), np.arccos(one))
    return steps, is_sine


def _norm(x: Array) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
