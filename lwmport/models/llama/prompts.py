"""LWM's prompts as tokens, in the pieces and with the special tokens that its scripts make.

Sources: LWM's lwm/vision_chat.py, lwm/vision_generation.py, scripts/sample_pyt.py and scripts/eval_needle.py. Their
tokenizer puts its first token before each piece that is encoded, and a trained model has seen that.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from lwmport.models.llama.vision_tokens import END_OF_VISION
from lwmport.models.spec import Prompts, Written
from lwmport.types import Array

Encode = Callable[[str], list[int]]
"""Tokens of a text, with what every text begins with."""

LENGTH: Final = 128
"""Tokens of a prompt of `picture_prompts`, padding included."""

SYSTEM: Final = "You are a helpful assistant. USER: "


def text_prompt(encode: Encode, question: str) -> Written:
    """Return a question without a picture."""
    return _row([(encode(f"{SYSTEM}{question} ASSISTANT:"), False)])


def vision_prompt(encode: Encode, question: str, frames: Sequence[Array]) -> Written:
    """Return a question about a picture, or about the frames of a video.

    Each frame ends as if it were the last one. That is what ``lwm/vision_chat.py`` does: it encodes frames one by one,
    and takes each for the end.

    Args:
        encode: of the model's tokenizer.
        question: the user's words.
        frames: codes of each frame, integers of any shape, in reading order.
    """
    codes = [code for frame in frames for code in (*frame.reshape(-1).tolist(), END_OF_VISION)]
    return _row(
        [
            (encode(f"<s>{SYSTEM}{question}\n"), False),
            (encode("<vision>"), False),
            (codes, True),
            (encode("</vision>"), False),
            (encode(" ASSISTANT:"), False),
        ]
    )


def document_prompt(encode: Encode, context: str, question: str) -> Written:
    """Return a question about a long text, as ``scripts/eval_needle.py`` asks it."""
    rules = "Don't give information outside the document or repeat your findings. Keep your response short and direct."
    return _row([(encode(f"{SYSTEM}{context} {question} {rules} ASSISTANT: "), False)])


def later_prompt(encode: Encode, question: str, end: int | None) -> Written:
    """Return a further question of the same talk.

    LWM's scripts ask one question. A further one is written as Vicuna, whose form LWM's prompts have, writes it: the
    token that ends an answer, then the question.
    """
    return _row([([] if end is None else [end], False), (encode(f"USER: {question} ASSISTANT:"), False)])


def picture_prompts(encode: Encode, what: str, description: str, pad: int, first: Array | None = None) -> Written:
    """Return two rows: a prompt for a picture or a video, and the one without a description that guidance takes.

    Each has `LENGTH` tokens, with padding on the left; of a longer one the first token and the last ones stay.

    Args:
        encode: of the model's tokenizer.
        what: ``an image`` or ``a video``.
        description: what is to be seen.
        pad: the token of padding.
        first: the tokens of a frame that comes first, its last one included: of a video.
    """
    asked = encode(f"<s>{SYSTEM}Generate {what} of {description} ASSISTANT: <vision>"), encode("<s><vision>")
    rows = [ids if len(ids) <= LENGTH else [ids[0], *ids[1 - LENGTH :]] for ids in asked]
    ids = np.asarray([[pad] * (LENGTH - len(row)) + row for row in rows], np.int64)
    mask = np.asarray([[0] * (LENGTH - len(row)) + [1] * len(row) for row in rows], np.int64)
    frame = np.zeros((2, 0), np.int64) if first is None else np.stack([first.reshape(-1).astype(np.int64)] * 2)
    return Written(
        ids=np.concatenate([ids, frame], axis=1),
        mask=np.concatenate([mask, np.ones_like(frame)], axis=1),
        codes=np.concatenate([np.zeros(ids.shape, bool), np.ones(frame.shape, bool)], axis=1),
    )


def _row(pieces: Sequence[tuple[Sequence[int], bool]]) -> Written:
    ids = np.asarray([[token for tokens, _ in pieces for token in tokens]], np.int64)
    codes = np.asarray([[is_code for tokens, is_code in pieces for _ in tokens]], bool)
    return Written(ids=ids, mask=np.ones_like(ids), codes=codes)


PROMPTS: Final = Prompts(
    text=text_prompt,
    vision=vision_prompt,
    document=document_prompt,
    later=later_prompt,
    picture=picture_prompts,
    pictures="vqgan",
    pixels="pixel_values",
    codes="codebook_indices",
    image_words="an image",
    video_words="a video",
    image_top_k=8192,
    video_top_k=100,
    frames_a_second=4,
)
