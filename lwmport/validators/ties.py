"""How near a tie a wrong code was: two codes at almost one distance may swap in any other float32 program."""

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from lwmport.types import Array

TieGap: TypeAlias = Callable[[tuple[int, ...], int, int], float | None]
"""``(index, reference code, candidate code) -> relative gap``; None where it is not known."""


def gap_of_distances(reference: Array, candidate: Array) -> TieGap:
    """Return gaps from two arrays shaped like the indices: the distance to the code that each side chose."""

    def gap(index: tuple[int, ...], _expected: int, _found: int) -> float:
        return _relative(float(reference[index]), float(candidate[index]))

    return gap


def gap_of_codes(vectors: Array, codebook: Array) -> TieGap:
    """Return gaps by measuring: squared Euclidean distances in float64, as LWM's quantizer defines them.

    Args:
        vectors: what was quantized, shape of the indices + [dimension].
        codebook: [codes, dimension].
    """

    def gap(index: tuple[int, ...], expected: int, found: int) -> float:
        if not 0 <= found < len(codebook):
            return math.inf
        return _relative(_distance(vectors[index], codebook[expected]), _distance(vectors[index], codebook[found]))

    return gap


def _distance(vector: Array, code: Array) -> float:
    difference = vector.astype(np.float64) - code.astype(np.float64)
    return float(difference @ difference)


def _relative(expected: float, found: float) -> float:
    """Return how much farther the candidate's code is, as a part of the reference's distance."""
    if math.isnan(expected) or math.isnan(found):
        return math.inf
    if expected == found:
        return 0.0
    return (found - expected) / expected if expected > 0 else math.inf
