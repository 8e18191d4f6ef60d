"""The form of a conversation about pictures whose features stand among the embeddings of the words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lwmport.models.spec import TalkPrompts, Written
from lwmport.types import Array

Encode = Callable[..., list[int]]
"""Tokens of a text, with what every text begins with; without it where ``begins=False``."""

PIXELS: Final = "pixel_values"
FEATURES: Final = "image_features"
"""Input and output of a whole image side."""


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """Texts of a conversation. The places of features cut it into pieces, which are encoded each for itself.

    Only the first piece begins as every text does.

    Attributes:
        system: what stands in front of the first question.
        user: in front of each question.
        assistant: behind each question.
        opens: in front of the features of the first picture.
        between: between those of two pictures.
        closes: behind those of the last one.
        ends: whether the token that ends an answer stays in front of a further question.
        stops: texts that end an answer.
    """

    system: str
    user: str
    assistant: str
    opens: str
    between: str
    closes: str
    ends: bool = False
    stops: tuple[str, ...] = ()

    def prompts(self) -> TalkPrompts:
        """Return how a model is asked in this form."""
        return TalkPrompts(
            text=self.text, vision=self.vision, later=self.later, pixels=PIXELS, codes=FEATURES, stops=self.stops
        )

    def text(self, encode: Encode, question: str) -> Written:
        """Return a question without a picture."""
        return _written(encode(f"{self.system}{self.user}{question}{self.assistant}"))

    def vision(self, encode: Encode, question: str, frames: Sequence[Array]) -> Written:
        """Return a question about pictures: ids are tokens, or numbers of rows of all features behind one another.

        Args:
            encode: of the model's tokenizer.
            question: the user's words.
            frames: the features of each picture [tokens, width].
        """
        ids = encode(f"{self.system}{self.user}{self.opens}")
        codes, rows = [False] * len(ids), 0
        texts = [self.between] * (len(frames) - 1) + [f"{self.closes}{question}{self.assistant}"]
        for frame, text in zip(frames, texts, strict=True):
            said = encode(text, begins=False)
            ids += [*range(rows, rows + len(frame)), *said]
            codes += [True] * len(frame) + [False] * len(said)
            rows += len(frame)
        return _written(ids, codes)

    def later(self, encode: Encode, question: str, end: int | None) -> Written:
        """Return a further question of the same conversation."""
        front = [end] if self.ends and end is not None else []
        return _written([*front, *encode(f"{self.user}{question}{self.assistant}", begins=False)])


def _written(ids: Sequence[int], codes: Sequence[bool] = ()) -> Written:
    tokens = np.asarray([ids], np.int64)
    seen = np.asarray([codes], bool) if codes else np.zeros(tokens.shape, bool)
    return Written(ids=tokens, mask=np.ones_like(tokens), codes=seen)
