"""Guesses at the next tokens: what stood behind the last ones where they stood before in the same text.

What Saxena calls prompt lookup decoding (github.com/apoorvumang/prompt-lookup-decoding, 2023). A run of a model that
is bound by reading its weights checks several tokens in little more than the time of one.
"""

from typing import Final

import numpy as np

from lwmport.types import Array

SIZES: Final = (3, 2)
"""Tokens that must have stood together before, the most telling first."""

LONGEST_REST: Final = 16
"""Tokens that are generated without a guess, at most, where guesses were wrong."""


class Lookup:
    """Guesses at the tokens behind a text.

    It guesses more where guesses are right, and rests where they are wrong: twice as long each time.

    Args:
        ids: of the text so far [n].
        codes: which of them are codes [n]; None for none.
        kind: whether new tokens are codes.
        most: tokens of a guess at most.
    """

    def __init__(self, ids: Array, codes: Array | None, *, kind: bool, most: int) -> None:
        marks = np.zeros(ids.shape, bool) if codes is None else codes
        self._said = _keys(ids, marks)
        self._kind, self._most, self._width = kind, most, most
        self._wrong = self._rest = 0

    def add(self, token: int) -> None:
        """Take a new token of the text."""
        self._said = np.append(self._said, _keys(np.int64(token), np.bool_(self._kind)))

    def guess(self, room: int) -> Array:
        """Return the tokens that may come next, int64 [at most ``room``]; none where nothing says so."""
        if self._rest:
            self._rest -= 1
            return np.zeros(0, np.int64)
        for size in SIZES:
            behind = _behind(self._said, size)
            if behind.size:
                found = np.resize(behind, min(room, self._width))  # what goes on repeating goes on repeating
                ends = np.flatnonzero(found % 2 != self._kind)
                return found[: ends[0] if ends.size else None] // 2
        return np.zeros(0, np.int64)

    def checked(self, right: int, count: int) -> None:
        """Take how many tokens of a guess of ``count`` were right."""
        self._width = min(self._most, 2 * right + 1)
        self._wrong = 0 if right else self._wrong + 1
        self._rest = min(LONGEST_REST, 2**self._wrong) if count and not right else 0


def _keys(ids: Array | np.int64, codes: Array | np.bool_) -> Array:
    """Return one number for each token, for a code has the id of a word."""
    return np.asarray(2 * ids + codes, np.int64)


def _behind(said: Array, size: int) -> Array:
    """Return what stands behind the last place where the last tokens stood before, up to the end."""
    count = len(said) - size
    if count < 1:
        return said[:0]
    same = np.logical_and.reduce([said[place : place + count] == said[count + place] for place in range(size)])
    places = np.flatnonzero(same)
    return said[places[-1] + size :] if places.size else said[:0]
