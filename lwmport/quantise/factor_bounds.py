"""How large and how small factors of channels may be, so that no scale which takes them in becomes subnormal.

A subnormal number has few digits: float16 has eleven from 6.1e-5 on, and five at 1e-6, where it is up to 3 % off. What
makes a channel is divided by its factor, so it bounds that from above. Matrices behind it are multiplied, so they bound
it from below. A factor of 1 is always within the bounds: it changes nothing.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from lwmport.types import Array, Fold

DRAWN: Final = 2.0
"""What a scale may still be divided by behind its factors: extremes are drawn in by up to one half."""


class Bounds(NamedTuple):
    """The least and the largest factor of each channel, float64 [channels]."""

    least: Array
    most: Array


def bounds_of(made_by: Array, normal: float, behind: Iterable[Array]) -> Bounds:
    """Return the bounds of the factors of some channels.

    Args:
        made_by: what is divided by them, [..., channels]: scales, or the values of a norm.
        normal: the least number that has all digits in the dtype of those.
        behind: for each matrix behind them the least factors of its channels (`least_of`).
    """
    sizes = np.abs(made_by.reshape(-1, made_by.shape[-1]).astype(np.float64))
    most = np.where(sizes >= normal, sizes / normal, np.inf).min(axis=0)
    least = np.max([np.zeros(sizes.shape[1]), *behind], axis=0)
    return Bounds(least, most)


def least_of(scales: Array, group: int, normal: float, fold: Fold, channels: int) -> Array:
    """Return the least factor of each channel that a matrix behind it bears, at most 1, float64 [channels].

    Args:
        scales: of the matrix as it is, [groups, outputs].
        group: inputs that share a scale.
        normal: the least number that has all digits in the dtype of the scales.
        fold: how channels become inputs.
        channels: how many there are.
    """
    sizes = np.abs(scales.astype(np.float64))
    needed = np.divide(DRAWN * normal, sizes, out=np.zeros_like(sizes), where=sizes >= normal).max(axis=1)
    inputs = np.repeat(np.minimum(needed, 1), group)
    found: Array = inputs[: channels * fold.times].reshape(fold.blocks, fold.times, -1).max(axis=1).reshape(-1)
    return found
