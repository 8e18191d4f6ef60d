"""The opened model: answers and pictures, and a check between two tokens whether to go on."""

import base64
import io
from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np

from lwmport.errors import PortError
from lwmport.generation.guesses import Guessed
from lwmport.generation.stops import until
from lwmport.generation.tokenizer import Tokenizer
from lwmport.generation.tokens import Prompt, Wish, new_tokens
from lwmport.models.spec import Prompts
from lwmport.pipeline.assemble.package import Package
from lwmport.pipeline.generate.guessing import Guessing, open_guesses
from lwmport.pipeline.observer import Silent
from lwmport.pipeline.serve.asked import ChatAsked, PictureAsked
from lwmport.pipeline.serve.limits import Limits
from lwmport.pipeline.serve.messages import Dialogue
from lwmport.pipeline.serve.refused import RefusedError
from lwmport.pipeline.serve.uploads import frames_in
from lwmport.pipeline.talk.painter import Painter
from lwmport.pipeline.talk.pictures import Pictures
from lwmport.pipeline.talk.spliced import SplicedSession, open_session
from lwmport.pipeline.talk.talk import TEXT
from lwmport.types import Array

Watch = Callable[[], None]


class Answer:
    """An answer whose prompt was read and fits.

    Attributes:
        prompt_tokens: of the prompt.
        tokens: of the answer so far, the one that ends it included.
        finish: why it ended: ``stop`` by itself or at a text of the request, ``length`` because it may not be longer.
    """

    def __init__(
        self,
        made: Generator[Array, None, None],
        tokenizer: Tokenizer,
        prompt: Prompt,
        wish: Wish,
        stops: tuple[str, ...],
    ) -> None:
        self._made, self._tokenizer, self._wish, self._stops = made, tokenizer, wish, stops
        self.prompt_tokens = int(prompt.ids.shape[1])
        self.tokens = 0
        self.finish = "length"

    def pieces(self) -> Iterator[str]:
        """Yield the text as it comes."""
        try:
            if (yield from until(self._tokenizer.pieces(self._words()), self._stops)):
                self.finish = "stop"
        finally:
            self._made.close()  # before another request has the session: guesses are dropped from it

    def _words(self) -> Iterator[int]:
        for ids in self._made:
            self.tokens += 1
            if int(ids[0]) in self._wish.stop:
                self.finish = "stop"
                return
            yield int(ids[0])


class Engine:
    """A model that is open, for one request at a time.

    Args:
        package: the assembled model.
        limits: what a request may ask for.
        chunk: tokens of a prompt to run at once: a request that leaves or takes too long is ended between two of them.
        runner: what runs the language model; None for the usual one.
        threads: threads of the runtime; None for one a processor.
        guessing: how tokens are guessed; the text stays the same.

    Raises:
        UsageError: the model checks no guesses, or a draft has another vocabulary.
    """

    def __init__(
        self,
        package: Package,
        limits: Limits,
        chunk: int,
        runner: str | None = None,
        threads: int | None = None,
        *,
        guessing: Guessing | None = None,
    ) -> None:
        self._package, self._limits, self._chunk = package, limits, chunk
        self._tokenizer = Tokenizer(package.tokenizer)
        self._pictures = Pictures(package, runner) if package.pictures else None
        self.session = open_session(package, runner=runner, threads=threads)
        self._mode = package.family.modes[TEXT]
        try:
            self._guesses = open_guesses(
                guessing or Guessing(), self.session, self._mode, threads=threads, tokenizer=self._tokenizer
            )
        except PortError:
            self.session.close()
            raise

    @property
    def sees(self) -> bool:
        """Whether the model sees pictures."""
        return self._pictures is not None

    @property
    def paints(self) -> bool:
        """Whether the model makes pictures."""
        return self.sees and isinstance(self._package.prompts, Prompts)

    def answer(self, asked: ChatAsked, watch: Watch) -> Answer:
        """Return the answer to a dialogue; its pieces are yet to come.

        Raises:
            UsageError: the dialogue does not fit the model, or an upload is none.
        """
        self.session.watch = watch
        prompt = self._prompt(asked.dialogue, watch)
        end = self._tokenizer.end
        wish = Wish(
            count=self._room(prompt, asked.most),
            mode=self._mode,
            choosing=asked.choosing,
            stop=frozenset() if end is None else frozenset({end}),
            chunk=self._chunk,
        )
        if self._guesses is not None:
            self._guesses.watch = watch
        made = new_tokens(self.session, prompt, wish, guesses=self._guesses)
        return Answer(made, self._tokenizer, prompt, wish, (*asked.stops, *self._package.prompts.stops))

    def picture(self, asked: PictureAsked, watch: Watch) -> str:
        """Return a picture, PNG in base64.

        Raises:
            UsageError: the model makes no pictures, or none of this size.
        """
        self.session.watch = watch
        self._check_length(len(asked.painting.prompt), "prompt")
        pictures = self._seeing("a picture is to be made", "prompt")
        if not self.paints:
            raise RefusedError("expected a model that makes pictures, found one that only sees them", param="prompt")
        size = "x".join(map(str, pictures.size))
        if asked.size not in ("", size):
            raise RefusedError(
                f"expected the size {size}, which the model makes, found {asked.size[:20]}", param="size"
            )
        painter = Painter(self._package, asked.painting, self.session, pictures, Silent())
        return _png(painter.pixels(painter.frames())[0])

    def rest(self) -> None:
        """Drop what the last request left."""
        self.session.watch = lambda: None
        self.session.reset()
        if self._guesses is not None:
            self._guesses.watch = self.session.watch
            self._guesses.forget()

    @property
    def guessed(self) -> Guessed | None:
        """What became of the guesses of the last answer; None where nothing is guessed."""
        return None if self._guesses is None else self._guesses.guessed

    def close(self) -> None:
        """Close the model, and a draft."""
        self.session.close()
        if self._guesses is not None:
            self._guesses.close()

    def _prompt(self, dialogue: Dialogue, watch: Watch) -> Prompt:
        self._check_length(dialogue.characters, "messages")
        prompts, encode, end = self._package.prompts, self._tokenizer.encode, self._tokenizer.end
        frames = self._frames(dialogue, watch)
        question = dialogue.question
        if frames and isinstance(self.session, SplicedSession):
            self.session.show(frames)
        first = prompts.vision(encode, question, frames) if frames else prompts.text(encode, question)
        ids, codes = [first.ids[0]], [first.codes[0]]
        for turn in dialogue.later:
            later = prompts.later(encode, turn.question, end)
            said = np.asarray(encode(turn.answer, begins=False), np.int64)
            ids += [said, later.ids[0]]
            codes += [np.zeros(said.shape, bool), later.codes[0]]
        return Prompt(
            ids=np.concatenate(ids)[None], codes=np.concatenate(codes)[None] if self.session.has_codes else None
        )

    def _frames(self, dialogue: Dialogue, watch: Watch) -> list[Array]:
        """Return the codes or features of all pictures and frames."""
        if not dialogue.uploads:
            return []
        pictures = self._seeing("a picture or a video came", dialogue.uploads[0].param)
        found: list[Any] = []
        for upload in dialogue.uploads:
            watch()
            found += frames_in(upload, self._limits, watch)
            if len(found) > self._limits.frames:
                raise RefusedError(
                    f"expected at most {self._limits.frames} pictures and frames of videos together (--max-frames), "
                    f"found {len(found)}",
                    param=upload.param,
                )
        return pictures.codes(found)

    def _seeing(self, why: str, param: str) -> Pictures:
        if self._pictures is None:
            raise RefusedError(f"expected a model with pictures, for {why}, found one of text alone", param=param)
        return self._pictures

    def _check_length(self, characters: int, param: str) -> None:
        """Return if a text may fit the model; one that cannot is not even made tokens."""
        limit = self.session.limit
        most = None if limit is None else limit * self._tokenizer.longest
        if most is not None and characters > most:
            raise _too_long(limit, f"a prompt of {characters:,} characters", param)

    def _room(self, prompt: Prompt, most: int) -> int:
        """Return how many tokens an answer may have."""
        limit, count = self.session.limit, prompt.ids.shape[1]
        if limit is not None and count >= limit:
            raise _too_long(limit, f"a prompt of {count:,} tokens", "messages")
        return most if limit is None else min(most, limit - count)


def _too_long(limit: int | None, found: str, param: str) -> RefusedError:
    return RefusedError(
        f"expected at most {limit:,} tokens of prompt and answer together, as the model has, found {found}; "
        "shorten the conversation, or show fewer frames",
        code="context_length_exceeded",
        param=param,
    )


def _png(pixels: Array) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode()
