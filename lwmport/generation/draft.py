"""Guesses at the next tokens by a smaller model of the same vocabulary, the draft.

What Leviathan, Kalman and Matias call speculative decoding ("Fast Inference from Transformers via Speculative
Decoding", 2023), but for one thing: the draft draws each token with the numbers that the model will draw it with, and
a guess is right if the model draws the same. So the text stays the model's own, token by token.
"""

from typing import Any, ClassVar, Final

import numpy as np

from lwmport.generation.guesses import Guesses
from lwmport.types import Array

PATIENCE: Final = 2
"""Wrong guesses in a row without a rest: of a draft one says little of the next."""


class Draft(Guesses):
    """Guesses by a session of its own, which is closed with it.

    It keeps its cache from one guess and one prompt to the next. It is told what it has room for: behind that it
    guesses nothing. One without codes is told the words of a text alone.

    Args:
        session: a `lwmport.runtime.session.token_session.TokenSession`, whose steps take any number of tokens.
        most: tokens of a guess at most.
    """

    name: ClassVar[str] = "draft"

    def __init__(self, session: Any, most: int) -> None:
        self._session = session
        super().__init__(most, PATIENCE)

    def forget(self) -> None:
        """Drop the text and the cache."""
        super().forget()
        self._session.reset()
        self._held = self._said
        self._before = 0

    def close(self) -> None:
        """Close the draft."""
        self._session.close()

    def _found(self, count: int) -> Array:
        text, limit = self._told(), self._session.limit
        room = count if limit is None else limit - len(text) + 1
        found = np.zeros(0, np.int64)
        while len(found) < min(count, room):
            outputs = self._read(np.append(text, 2 * found + self._kind))
            found = np.append(found, self._choose(outputs, self._step + len(found)))
        return found

    def _told(self) -> Array:
        """Return the keys of the tokens that the draft takes."""
        said = self._said
        return said[said >= 0 if self._session.has_codes else (said >= 0) & (said % 2 == 0)]

    def _read(self, text: Array) -> dict[str, Array]:
        """Return the outputs for the last token of a text; what the session holds of it already is not run again."""
        session = self._session
        session.watch = self.watch
        kept = _shared(self._held, text[:-1])
        ids, codes = text[None, kept:] // 2, text[None, kept:] % 2 == 1
        marks = codes if session.has_codes else None
        self._held = self._held[:kept]
        if kept:
            session.truncate(self._before + kept)
            found: dict[str, Array] = session.step(ids, marks, self._chunk, keep=1)
        else:
            found = session.prefill(ids, None, marks, self._chunk)
            self._before = session.length - len(text)  # padding in front of a prompt of fixed length
        self._held = text
        return found


def _shared(one: Array, other: Array) -> int:
    """Return how many first entries are the same."""
    count = min(len(one), len(other))
    differ = np.flatnonzero(one[:count] != other[:count])
    return int(differ[0]) if differ.size else count
