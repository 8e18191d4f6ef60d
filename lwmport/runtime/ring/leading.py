"""Rank 0 leads: it tells the others what to do, and they follow until it says that it was all."""

import contextlib
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from lwmport.errors import LostRankError, UsageError
from lwmport.runtime.ring.channel import shared
from lwmport.runtime.ring.rank import RingRank
from lwmport.runtime.session.layout import IDS
from lwmport.runtime.session.piece import Piece, check_count, continuation, prompt
from lwmport.types import Array

CHUNK: Final = 512
"""Tokens of a piece where no other number is asked for: scores of 32 heads then take 32 MB."""

END, PREFILL, STEP = range(3)
WORDS: Final = 5
"""Numbers of a command: what, rows, tokens, chunk, tokens to return outputs for."""


class RingSession:
    """A language model in a ring as rank 0 has it. A ``with`` block tells the others when it is over.

    Args:
        rank: this process.
        runner: the name of the runtime.

    Attributes:
        runner: what runs it, for a reader.
    """

    def __init__(self, rank: RingRank, runner: str) -> None:
        self._rank = rank
        self._mask: Array = np.zeros((0, 0), np.int64)
        self._over = False
        ranks = rank.channel.ranks
        self.runner = f"{runner} in {ranks} ranks, {rank.channel.name}" if ranks > 1 else runner

    @property
    def length(self) -> int:
        """How many tokens of each sequence are held, padding included."""
        return int(self._mask.shape[1])

    @property
    def limit(self) -> int:
        """How many tokens of each sequence there is room for, padding included."""
        return self._rank.model.positions

    def prefill(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        vision_masks: Any = None,
        chunk: int | None = None,
        *,
        keep: int | None = 1,
    ) -> dict[str, Array]:
        """Return the outputs for the last tokens of prompts; what was held before is dropped.

        Args:
            input_ids: integers [batch, n].
            attention_mask: integers [batch, n], 0 where a token is padding, which is on the left; None for no padding.
            vision_masks: booleans [batch, n], true where an id is a code; needed by a model that has codes.
            chunk: tokens of a piece; None for `CHUNK`.
            keep: how many of the last tokens to return outputs for; None for all.

        Raises:
            LostRankError: a rank is gone, or does not answer.
            RunnerError: an id that the model does not have, or the runtime failed.
            UsageError: the tokens do not fit the model.
        """
        piece = prompt(input_ids, attention_mask, vision_masks)
        self._rank.model.check(piece, vision_masks)
        return self._run(PREFILL, piece, chunk, keep)

    def step(
        self, input_ids: Any, vision_masks: Any = None, chunk: int | None = None, *, keep: int | None = None
    ) -> dict[str, Array]:
        """Return the outputs for new tokens behind those that are held; arguments and errors are those of `prefill`."""
        if not len(self._mask):
            raise UsageError("expected a prefill before the first step, found none; call prefill with the prompt")
        whole = continuation(input_ids, vision_masks, self._mask)
        self._rank.model.check(whole, vision_masks)
        found, size = list[dict[str, Array]](), self._size(chunk)
        _check_counts(size, whole.count if keep is None else keep)
        for start in range(whole.held, whole.end, size):
            piece = whole.part(start, min(start + size, whole.end))
            found.append(self._run(STEP, piece, size, None))
        kept = slice(None if keep is None else -keep, None)
        return {name: np.concatenate([one[name] for one in found], axis=1)[:, kept] for name in found[0]}

    def close(self) -> None:
        """Tell the others that it is over, and close the model. A second call does nothing."""
        if not self._over:
            self._over = True
            with contextlib.suppress(LostRankError):  # all is done
                shared(self._rank.channel, np.full(WORDS, END))
        self._rank.channel.close()
        self._rank.model.close()

    def __enter__(self) -> Self:
        """Return the session."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the model, and tell the others so unless one of them is lost."""
        self.close()

    def _run(self, what: int, piece: Piece, chunk: int | None, keep: int | None) -> dict[str, Array]:
        """Return what comes of tokens that all ranks are told."""
        kept, size = piece.count if keep is None else keep, self._size(chunk)
        _check_counts(size, kept)
        command = np.array([what, piece.batch, piece.count, size, min(kept, piece.count)], np.int64)
        try:
            found = _obeyed(self._rank, shared(self._rank.channel, command), piece)
        except BaseException:
            self._over = True  # the others are at another place, and would take a command for something else
            raise
        self._mask = piece.mask
        return found

    def _size(self, chunk: int | None) -> int:
        """Return the tokens of a piece: as many as were asked for, or as are usual where none were.

        Raises:
            UsageError: the parts run fewer at once.
        """
        most = self._rank.model.most
        if chunk is None:
            return min(CHUNK, most or CHUNK)
        if most and chunk > most:
            raise UsageError(f"expected a chunk of at most {most} tokens, as the parts have, found {chunk}")
        return chunk


def _check_counts(chunk: int, keep: int) -> None:
    """Return if both are numbers of tokens.

    Raises:
        UsageError: one is not.
    """
    for name, value in (("keep", keep), ("chunk", chunk)):
        check_count(name, value)


def follow(rank: RingRank) -> None:
    """Do what rank 0 says until it says that it was all.

    Raises:
        LostRankError: rank 0 or another one is gone.
        RunnerError: the runtime failed.
    """
    while True:
        command = shared(rank.channel, np.zeros(WORDS, np.int64), idle=True)
        if command[0] == END:
            return
        _obeyed(rank, command, _blank(*command[1:3]))


def _obeyed(rank: RingRank, command: Array, piece: Piece) -> dict[str, Array]:
    """Return what comes of a command, for the tokens that rank 0 has in a piece and the others get into theirs."""
    what, _, _, chunk, keep = map(int, command)
    ids, codes = (shared(rank.channel, np.ascontiguousarray(array)) for array in (piece.tokens, piece.codes))
    if what == STEP:
        return rank.step(ids, codes, keep)
    return rank.prefill(ids, shared(rank.channel, np.ascontiguousarray(piece.mask)), codes, chunk, keep)


def _blank(rows: int, count: int) -> Piece:
    """Return as many tokens that say nothing."""
    numbers = np.zeros((rows, count), np.int64)
    return Piece(name=IDS, tokens=numbers, codes=np.zeros(numbers.shape, bool), mask=numbers.copy())
