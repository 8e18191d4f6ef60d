"""A talk with an assembled model: questions, and answers that come word after word."""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from lwmport.errors import PortError
from lwmport.generation.choosing import Choosing
from lwmport.generation.guesses import Guessed
from lwmport.generation.stops import until
from lwmport.generation.tokenizer import Tokenizer
from lwmport.generation.tokens import Prompt, Wish, new_tokens
from lwmport.models.spec import Written
from lwmport.pipeline.assemble.package import Package
from lwmport.pipeline.generate.guessing import Guessing, open_guesses
from lwmport.pipeline.talk.spliced import SplicedSession, open_session
from lwmport.types import Array

TEXT = "text"


@dataclass(frozen=True, kw_only=True)
class Answered:
    """How an answer came about: tokens of the prompt and of the answer, seconds until its first token and from then.

    ``full`` is whether it ended because the model has no room for more, ``guessed`` what became of guesses at tokens.
    """

    prompt_tokens: int
    tokens: int
    first_seconds: float
    seconds: float
    full: bool = False
    guessed: Guessed | None = None

    @property
    def rate(self) -> float | None:
        """Tokens a second behind the first one; None for an answer of one token."""
        return (self.tokens - 1) / self.seconds if self.tokens > 1 and self.seconds else None


class Talk:
    """Questions to one model, one behind the other; the cache of what was said is kept. A ``with`` block closes it.

    Args:
        package: the model.
        runner: what runs its language model; None for the usual one.
        threads: threads of the runtime; None for one a processor.
        checkpoint: the weights that were converted, for the runner ``jax``.
        guessing: how tokens are guessed; the text stays the same.

    Attributes:
        answered: of the last answer, once it is complete.

    Raises:
        UsageError: the model checks no guesses, or a draft has another vocabulary.
    """

    def __init__(
        self,
        package: Package,
        runner: str | None = None,
        threads: int | None = None,
        checkpoint: str | None = None,
        guessing: Guessing | None = None,
    ) -> None:
        self._package = package
        self.tokenizer = Tokenizer(package.tokenizer)
        self.session = open_session(package, runner=runner, threads=threads, checkpoint=checkpoint)
        self._mode = package.family.modes[TEXT]
        try:
            self._guesses = open_guesses(
                guessing or Guessing(), self.session, self._mode, threads=threads, tokenizer=self.tokenizer
            )
        except PortError:
            self.session.close()
            raise
        self._last: int | None = None
        self._stopped = False
        self.answered: Answered | None = None

    def ask(
        self,
        question: str,
        frames: Sequence[Array] = (),
        *,
        choosing: Choosing,
        most: int,
        chunk: int | None = None,
    ) -> Iterator[str]:
        """Yield the answer to a question in pieces of text.

        Args:
            question: the user's words.
            frames: the codes or features of a picture, or of the frames of a video; of the first question alone.
            choosing: how tokens are chosen.
            most: tokens of the answer at most; fewer where the model has no room for as many.
            chunk: tokens of the prompt to run at once.

        Raises:
            UsageError: the prompt does not fit the model.
        """
        prompt = self._prompt(question, frames)
        end, room = self.tokenizer.end, self._room(prompt)
        stop = frozenset() if end is None else frozenset({end})
        wish = Wish(count=min(most, room), mode=self._mode, choosing=choosing, stop=stop, chunk=chunk)
        started, times = time.perf_counter(), list[float]()
        self._stopped = False
        made = new_tokens(self.session, prompt, wish, guesses=self._guesses)
        try:
            pieces = self.tokenizer.pieces(self._timed(made, times))
            self._stopped = yield from until(pieces, self._package.prompts.stops)
        finally:
            made.close()  # so that the session holds no guesses
            if times:
                full = len(times) == room < most and not self._stopped and self._last != end
                guessed = None if self._guesses is None else self._guesses.guessed
                self.answered = _answered(prompt, started, times, full=full, guessed=guessed)

    def _timed(self, made: Iterator[Array], times: list[float]) -> Iterator[int]:
        """Yield new tokens but for the one that ends an answer, and note when each came."""
        for ids in made:
            times.append(time.perf_counter())
            self._last = int(ids[0])
            if self._last != self.tokenizer.end:
                yield self._last

    def _room(self, prompt: Prompt) -> int:
        """Return how many tokens behind a prompt the model has room for; 1 where the prompt itself has none."""
        limit = self.session.limit
        held = self.session.length if prompt.goes_on else 0
        return sys.maxsize if limit is None else max(limit - held - prompt.ids.shape[1] + 1, 1)

    def _prompt(self, question: str, frames: Sequence[Array]) -> Prompt:
        prompts, encode = self._package.prompts, self.tokenizer.encode
        if self.session.length:
            return self._further(prompts.later(encode, question, self.tokenizer.end))
        if frames and isinstance(self.session, SplicedSession):
            self.session.show(frames)
        written = prompts.vision(encode, question, frames) if frames else prompts.text(encode, question)
        return Prompt(ids=written.ids, codes=written.codes if self.session.has_codes else None)

    def _further(self, written: Written) -> Prompt:
        """Return a further question behind the answer, whose last token the session does not hold yet."""
        ids, codes = written.ids, written.codes
        if self._stopped:
            told = self._told(ids[0])
            ids, codes = ids[:, told:], codes[:, told:]
        if self._last is not None and (self._stopped or self._last not in (ids[0, 0], self.tokenizer.end)):
            ids = np.concatenate([[[self._last]], ids], axis=1)
            codes = np.concatenate([[[False]], codes], axis=1)
        return Prompt(ids=ids, codes=codes if self.session.has_codes else None, goes_on=True)

    def _told(self, ids: Array) -> int:
        """Return how many tokens at the beginning of a further question a text that ended the answer has said."""
        stops = (self.tokenizer.encode(stop, begins=False) for stop in self._package.prompts.stops)
        return next((len(stop) for stop in stops if ids[: len(stop)].tolist() == stop), 0)

    def close(self) -> None:
        """Close the model, and a draft."""
        self.session.close()
        if self._guesses is not None:
            self._guesses.close()

    def __enter__(self) -> Self:
        """Return the talk."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the model."""
        self.close()


def _answered(
    prompt: Prompt, started: float, times: Sequence[float], *, full: bool, guessed: Guessed | None
) -> Answered:
    """Return how an answer came about; ``times`` are those of its tokens."""
    return Answered(
        prompt_tokens=prompt.ids.shape[1],
        tokens=len(times),
        first_seconds=times[0] - started,
        seconds=times[-1] - times[0],
        full=full,
        guessed=guessed,
    )
