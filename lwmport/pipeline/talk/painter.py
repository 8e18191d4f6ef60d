"""The tokens and the pixels of pictures that a model makes from a description."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt
from typing import Final

import numpy as np

from lwmport.errors import UsageError
from lwmport.generation.choosing import Choosing, check_guidance, draw_by_seed
from lwmport.generation.tokenizer import Tokenizer
from lwmport.generation.tokens import Prompt, Wish, check_room, new_tokens
from lwmport.pipeline.assemble.package import Package
from lwmport.pipeline.generate.tokens import own_draws
from lwmport.pipeline.observer import Observer, tell_steps
from lwmport.pipeline.session import Session
from lwmport.pipeline.talk.pictures import Pictures
from lwmport.pipeline.talk.preview import Preview
from lwmport.requests import check_types
from lwmport.types import Array

VISION: Final = "vision"


@dataclass(frozen=True, kw_only=True)
class Painting:
    """What is to be made.

    Attributes:
        prompt: what is to be seen.
        frames: 1 for a picture, more for a video.
        cfg_scale: classifier-free guidance.
        temperature: what logits are divided by.
        top_k: how many of the largest logits stay; None for the usual number of the family.
        top_p: the probability that the tokens that stay have together, at least.
        seed: of what is drawn.
        own_random: draw as the model's own scripts draw, which needs JAX.
        strict_codes: choose codes alone; without it an index that is no code becomes the last code, as in LWM.
        first_cfg_scale, first_temperature, first_top_k: the same for the first frame of a video; None for no others.

    Raises:
        UsageError: a field has another type, or a value that it cannot have.
    """

    prompt: str
    frames: int = 1
    cfg_scale: float = 1.0
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int = 0
    own_random: bool = False
    strict_codes: bool = False
    first_cfg_scale: float | None = None
    first_temperature: float | None = None
    first_top_k: int | None = None

    def __post_init__(self) -> None:
        """Refuse types and values that no picture has."""
        check_types(self)
        if self.frames < 1:
            raise UsageError(f"expected at least 1 frame, found {self.frames}")
        own = (self.first_cfg_scale, self.first_temperature, self.first_top_k)
        if self.frames == 1 and own != (None, None, None):
            raise UsageError("expected a video for other numbers of its first frame, found a picture; leave them out")
        for first in (True, False):
            self.choosing(first=first)
            check_guidance(self.guidance(first=first))

    def choosing(self, *, first: bool, usual: int = 0) -> Choosing:
        """Return how tokens are chosen: of the first frame, or of the others; ``usual`` is the family's top-k."""
        temperature, top_k = self.temperature, self.top_k
        if first:
            temperature = temperature if self.first_temperature is None else self.first_temperature
            top_k = self.first_top_k or top_k
        return Choosing(temperature=temperature, top_k=top_k or usual, top_p=self.top_p, seed=self.seed)

    def guidance(self, *, first: bool) -> float:
        """Return how much guidance there is: of the first frame, or of the others."""
        return self.first_cfg_scale if first and self.first_cfg_scale is not None else self.cfg_scale


class Painter:
    """Makes the tokens of one painting: the first frame as a picture, the others behind it.

    Args:
        package: the model.
        painting: what is to be made.
        session: of its language model.
        pictures: of the same model.
        observer: is told of each token.
        done: is given the codes [height, width] of each frame when it is complete.

    Raises:
        UsageError: the family's own draws are asked for, and are not known.
    """

    def __init__(
        self,
        package: Package,
        painting: Painting,
        session: Session,
        pictures: Pictures,
        observer: Observer,
        done: Callable[[Array], None] = lambda _: None,
    ) -> None:
        self._package, self._painting, self._session, self._observer = package, painting, session, observer
        self._pictures, self._done = pictures, done
        self._tokenizer = Tokenizer(package.tokenizer)
        self._limit = pictures.count if painting.strict_codes else 0
        self._draw = own_draws(package.family, painting.seed) if painting.own_random else None

    def frames(self) -> Array:
        """Return tokens int64 [frames, tokens of a frame]."""
        prompts, asked = self._package.painting, self._painting
        frame = self._package.family.modes[VISION].every
        choosing = asked.choosing(first=True, usual=prompts.image_top_k)
        first = self._made(prompts.image_words, None, frame, choosing)
        if asked.frames == 1:
            return first[None]
        choosing = asked.choosing(first=False, usual=prompts.video_top_k)
        others = self._made(prompts.video_words, first, (asked.frames - 1) * frame, choosing)
        return np.concatenate([first[None], others.reshape(-1, frame)])

    def pixels(self, tokens: Array) -> Array:
        """Return pictures uint8 [frames, height, width, 3] of tokens [frames, tokens of a frame]."""
        return self._pictures.pixels(np.stack([self._codes(frame) for frame in tokens]))

    def strange(self, tokens: Array) -> int:
        """Return how many tokens are no code where a code belongs."""
        return int((tokens[:, :-1] >= self._pictures.count).sum())

    def _made(self, what: str, first: Array | None, count: int, choosing: Choosing) -> Array:
        """Return the tokens behind one prompt, int64 [count]."""
        asked, tokenizer = self._painting, self._tokenizer
        written = self._package.painting.picture(tokenizer.encode, what, asked.prompt, tokenizer.pad, first)
        prompt = Prompt(ids=written.ids, mask=written.mask, codes=written.codes)
        check_room(self._session, prompt.ids.shape[1], count)
        wish = Wish(
            count=count,
            mode=self._package.family.modes[VISION],
            choosing=choosing,
            guidance=asked.guidance(first=first is None),
            limit=self._limit,
        )
        draw = self._draw or draw_by_seed(asked.seed, 0 if first is None else len(first))
        self._observer.phase(f"{what}: {count} tokens")
        found, frame = list[int](), wish.mode.every
        with Preview(self._pictures, self._observer) as preview:
            for ids in new_tokens(self._session, prompt, wish, draw):
                found.append(int(ids[0]))
                tell_steps(self._observer, "tokens", len(found), count)
                preview.row(found[len(found) // frame * frame :], _side(frame))
                if len(found) % frame == 0:
                    self._done(self._codes(np.asarray(found[-frame:], np.int64)))
        return np.asarray(found, np.int64)

    def _codes(self, frame: Array) -> Array:
        """Return codes [height, width] of the tokens of a frame."""
        side = _side(len(frame))
        return np.minimum(frame[:-1], self._pictures.count - 1).reshape(side, side)


def _side(frame: int) -> int:
    """Return the codes of a row of a frame of so many tokens, of which the last one is no code."""
    return isqrt(frame - 1)
