"""Guesses at the next tokens: what stood behind the last ones where they stood before in the same text.

What Saxena calls prompt lookup decoding (github.com/apoorvumang/prompt-lookup-decoding, 2023).
"""

from typing import ClassVar, Final

import numpy as np

from lwmport.generation.guesses import Guesses
from lwmport.types import Array

SIZES: Final = (3, 2)
"""Tokens that must have stood together before, the most telling first."""


class Lookup(Guesses):
    """Guesses from the text itself."""

    name: ClassVar[str] = "lookup"

    def _found(self, count: int) -> Array:
        for size in SIZES:
            behind = _behind(self._said, size)
            if behind.size:
                found = np.resize(behind, count)  # what goes on repeating goes on repeating
                ends = np.flatnonzero((found < 0) | (found % 2 != self._kind))
                return found[: ends[0] if ends.size else None] // 2
        return np.zeros(0, np.int64)


def _behind(said: Array, size: int) -> Array:
    """Return what stands behind the last place where the last tokens stood before, up to the end."""
    count = len(said) - size
    if count < 1:
        return said[:0]
    same = np.logical_and.reduce([said[place : place + count] == said[count + place] for place in range(size)])
    places = np.flatnonzero(same)
    return said[places[-1] + size :] if places.size else said[:0]
