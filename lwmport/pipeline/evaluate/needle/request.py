"""What is asked of a needle test."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lwmport.errors import UsageError
from lwmport.pipeline.evaluate.language.windows import CHUNK
from lwmport.requests import check_types


@dataclass(frozen=True, kw_only=True)
class NeedleRequest:
    """Which model reads which texts, and what is hidden where in them.

    Attributes:
        model: a folder of ``assemble``, or of ``convert`` with a whole language model.
        out: the folder of the page and the results. What is there of the same test is gone on with.
        haystack: a .jsonl of ``{"text": ...}``, or UTF-8; None for the text that comes with lwmport.
        tokenizer: the folder of the tokenizer; None for the one of an assembled model.
        lengths: the shortest context, the longest one, and how many evenly between them, in tokens.
        depths: how many places from the begin of a context to its end.
        rounds: how often each length and depth is tried.
        needles: how many are hidden, and how many of them are asked for.
        new_tokens: tokens of an answer at most.
        seed: of the first round; each further one has the next number.
        chunk: tokens of a prompt that are run at once.
        runner: what runs the model; None for the usual one.
        threads: threads of the runtime; None for one a processor.
        checkpoint: the weights that were converted, for the runner ``jax``.

    Raises:
        UsageError: a field has another type, or a value that it cannot have.
    """

    model: Path
    out: Path
    haystack: Path | None = None
    tokenizer: Path | None = None
    lengths: tuple[int, ...] = (1000, 32000, 3)
    depths: int = 3
    rounds: int = 2
    needles: tuple[int, ...] = (1, 1)
    new_tokens: int = 64
    seed: int = 1234
    chunk: int = CHUNK
    runner: str | None = None
    threads: int | None = None
    checkpoint: str | None = None

    def __post_init__(self) -> None:
        """Refuse types and values that no test has."""
        check_types(self)
        for name in ("depths", "rounds", "new_tokens", "chunk"):
            if getattr(self, name) < 1:
                raise UsageError(f"expected at least 1 as {name} of NeedleRequest, found {getattr(self, name)}")
        if not (len(self.lengths) == 3 and 1 <= self.lengths[0] <= self.lengths[1] and self.lengths[2] >= 1):
            found = ",".join(map(str, self.lengths))
            raise UsageError(f"expected lengths as SHORTEST,LONGEST,COUNT, such as 1000,32000,3, found {found}")
        if not (len(self.needles) == 2 and 1 <= self.needles[1] <= self.needles[0]):
            found = ",".join(map(str, self.needles))
            raise UsageError(f"expected needles as TOTAL,ASKED, such as 4,2, with ASKED from 1 to TOTAL, found {found}")
        if self.seed < 0:
            raise UsageError(f"expected a seed of 0 or more, found {self.seed}")

    @property
    def context_lengths(self) -> tuple[int, ...]:
        """Tokens of each context, as LWM's script spreads them."""
        return _spread(*self.lengths)

    @property
    def depth_percents(self) -> tuple[int, ...]:
        """Where the needle is, of 100."""
        return _spread(0, 100, self.depths)

    @property
    def trials(self) -> tuple[tuple[int, int, int], ...]:
        """Length, depth and seed of every trial."""
        seeds = range(self.seed, self.seed + self.rounds)
        return tuple(itertools.product(self.context_lengths, self.depth_percents, seeds))


def _spread(low: int, high: int, count: int) -> tuple[int, ...]:
    return tuple(dict.fromkeys(np.round(np.linspace(low, high, count)).astype(int).tolist()))
