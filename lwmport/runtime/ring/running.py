"""What queries keep while keys pass by: numerator, denominator and the largest score of each.

It is `lwmport.models.attention.blocks.State` in numpy. States of the same queries over different keys become the state
over all of them: each is rescaled by exp(own largest - largest of all). The result does not depend on their order.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from lwmport.types import Array

LOWEST: Final = np.finfo(np.float32).min
"""The largest score of a query that has seen nothing, as in `lwmport.models.attention.blocks.MASKED`."""


class Running(NamedTuple):
    """Float32: numerator [b, h, q, d], denominator [b, h, q], maximum [b, h, q]."""

    numerator: Array
    denominator: Array
    maximum: Array

    def become(self, other: "Running") -> None:
        """Take the values of another state of the same queries."""
        for own, value in zip(self, other, strict=True):
            own[...] = value

    def forget(self) -> None:
        """Become the state before the first key."""
        self.numerator[...], self.denominator[...], self.maximum[...] = 0, 0, LOWEST


def nothing_seen(query: Array) -> Running:
    """Return the state of queries [b, h, q, d] before the first key."""
    shape = query.shape[:3]
    return Running(np.zeros(query.shape, np.float32), np.zeros(shape, np.float32), np.full(shape, LOWEST))


def packed(state: Running) -> Array:
    """Return a state as one array [b, h, q, d + 2]."""
    return np.concatenate([state.numerator, state.denominator[..., None], state.maximum[..., None]], axis=-1)


def merged(states: Sequence[Array]) -> Running:
    """Return the state over the keys of all ranks, of what each has `packed`."""
    every = np.stack(states)
    scales = np.exp(every[..., -1] - every[..., -1].max(axis=0))
    summed = np.einsum("rbhqx,rbhq->bhqx", every[..., :-1], scales)
    return Running(summed[..., :-1], np.ascontiguousarray(summed[..., -1]), every[..., -1].max(axis=0))
