"""Guesses at the next tokens, several of which one run of the model checks: how many at once, and how many were right.

A run of a model that is bound by reading its weights checks several tokens in little more than the time of one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from lwmport.types import Array

LONGEST_REST: Final = 16
"""Tokens that are generated without a guess, at most, where guesses were wrong."""

PADDING: Final = -1
"""The key of what is no token."""

Choose = Callable[[dict[str, Array], int], Array]
"""Returns the next token of each row, from outputs of a model and how many tokens were chosen before."""


@dataclass(frozen=True, kw_only=True)
class Guessed:
    """How many tokens of an answer were proposed and accepted, in how many runs of the model, the prompt's included."""

    proposed: int
    accepted: int
    runs: int

    @property
    def per_run(self) -> float:
        """New tokens that a run made."""
        return 1 + self.accepted / max(self.runs, 1)


class Guesses:
    """Guesses at the tokens behind a text; this one guesses nothing.

    It guesses more where guesses are right. Where they are wrong it rests, twice as long each time.

    Args:
        most: tokens of a guess at most.
        patience: wrong guesses in a row without a rest.

    Attributes:
        name: what it is called in messages.
        watch: is called before each run of a model of its own. What it raises ends the guess.
    """

    name: ClassVar[str] = ""

    def __init__(self, most: int = 0, patience: int = 0) -> None:
        self._most, self._patience = most, patience
        self.watch: Callable[[], None] = lambda: None
        self.forget()

    def _start(self) -> None:
        self._width = self._most
        self._wrong = self._rest = self._step = 0
        self._proposed = self._accepted = self._runs = 0

    def forget(self) -> None:
        """Drop the text."""
        self._said = np.zeros(0, np.int64)
        self._kind = False
        self._start()

    def begin(self, keys: Array, *, held: int, kind: bool, choose: Choose, chunk: int | None) -> None:
        """Take the prompt of a new answer.

        Args:
            keys: of its tokens [n]: `keys_of`.
            held: tokens that stand before it, the first ones of the text so far.
            kind: whether new tokens are codes.
            choose: how they are chosen.
            chunk: tokens of a prompt to run at once; None for all.
        """
        self._said = np.append(self._said[:held], keys)
        self._kind, self._choose, self._chunk = kind, choose, chunk
        self._start()

    def add(self, token: int) -> None:
        """Take a new token of the text."""
        self._said = np.append(self._said, 2 * token + self._kind) if self._most else self._said
        self._step += 1

    def guess(self, room: int) -> Array:
        """Return the tokens that may come next, int64 [at most ``room``]; none where nothing says so."""
        if self._rest:
            self._rest -= 1
            return np.zeros(0, np.int64)
        return self._found(max(0, min(room, self._width)))

    def checked(self, right: int, count: int) -> None:
        """Take how many tokens of a guess of ``count`` were right; one of none counts as a run too."""
        self._proposed, self._accepted, self._runs = self._proposed + count, self._accepted + right, self._runs + 1
        if not count:
            return
        self._width = min(self._most, 2 * right + 1)
        self._wrong = 0 if right else self._wrong + 1
        self._rest = min(LONGEST_REST, 2 ** (self._wrong - self._patience)) if self._wrong > self._patience else 0

    @property
    def guessed(self) -> Guessed:
        """What became of the guesses since `begin`."""
        return Guessed(proposed=self._proposed, accepted=self._accepted, runs=self._runs)

    def close(self) -> None:
        """Give back what guessing holds. A second call does nothing."""

    def _found(self, count: int) -> Array:  # noqa: ARG002 - for what guesses
        """Return a guess, int64 [at most ``count``]."""
        return np.zeros(0, np.int64)


def keys_of(ids: Array, codes: Array | None, mask: Array | None) -> Array:
    """Return one number for each token of a row, int64 [n], for a code has the id of a word."""
    keys = 2 * np.asarray(ids, np.int64) + (0 if codes is None else codes)
    return keys if mask is None else np.where(mask, keys, PADDING)
