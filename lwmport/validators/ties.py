"""Near ties: a narrower dtype moves what is quantized a little; where two codes were nearly as near, the other wins.

The measure is how far a vector would have to move for the other code to be the nearer one: its distance to the plane
halfway between the two codes, in parts of the root mean square of all vectors. It hangs neither on the scale of the
vectors nor on that of the codebook.
"""

import math

import numpy as np
from numpy.typing import NDArray

from lwmport.types import Array, NearTies, Quantized


def distances(quantized: Quantized, expected: Array, found: Array) -> NDArray[np.float64]:
    """Return the measure for every index, in float64: 0 where both sides have one code.

    It is infinite where an index lies outside the codebook, and where a number that it is made of is none.

    Args:
        quantized: what the indices were made of.
        expected: the reference's indices, any shape.
        found: the candidate's, of the same shape.
    """
    measured = np.zeros(expected.shape)
    places = np.nonzero(expected != found)
    first, second = expected[places], found[places]
    count = len(quantized.codebook)
    inside = (first >= 0) & (first < count) & (second >= 0) & (second < count)
    vectors, codes = quantized.vectors[places].astype(np.float64), quantized.codebook.astype(np.float64)
    one, other = codes[np.where(inside, first, 0)], codes[np.where(inside, second, 0)]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        farther = ((vectors - other) ** 2).sum(-1) - ((vectors - one) ** 2).sum(-1)
        scale = 2 * np.linalg.norm(other - one, axis=-1) * np.sqrt(np.mean(quantized.vectors.astype(np.float64) ** 2))
        moved = np.where(farther == 0, 0.0, np.abs(farther) / scale)
    measured[places] = np.where(inside & np.isfinite(scale) & ~np.isnan(moved), moved, np.inf)
    return measured


def near_ties(expected: Array, found: Array, quantized: Quantized, allowed: NearTies) -> NDArray[np.bool_]:
    """Return where another code than the reference's is as good; nowhere if there are more such places than allowed."""
    near = (expected != found) & (distances(quantized, expected, found) <= allowed.distance)
    return near if near.sum() <= most(allowed, near.size) else np.zeros_like(near)


def most(allowed: NearTies, elements: int) -> int:
    """Return how many of so many indices may be near ties."""
    return math.ceil(allowed.share * elements)


def followed(states: Array, found: Array, quantized: Quantized, near: NDArray[np.bool_]) -> Array:
    """Return the reference's states with the code that the candidate found at every near tie."""
    codes = quantized.codebook[np.where(near, found, 0)]
    return np.where(near[..., None], codes, states).astype(states.dtype)
