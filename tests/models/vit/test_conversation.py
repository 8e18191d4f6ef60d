"""Prompts of LLaVA-1.5 and MiniGPT-4: the pieces that are encoded, and the numbers of the features between them."""

from typing import Any

import numpy as np
import pytest

from lwmport.models.llava.prompts import prompts as llava
from lwmport.models.minigpt4.config import CONFIGS
from lwmport.models.minigpt4.prompts import prompts as minigpt4
from lwmport.models.spec import TalkPrompts

IMAGES = (
    "Give the following image: <Img>ImageContent</Img>. You will be able to see the image once I provide it to you. "
    "Please answer my questions."
)
CHAT = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the user's questions. "
)
PIECES: list[str] = []


def encode(text: str, *, begins: bool = True) -> list[int]:
    """Return token 1 where a text begins, and a token for the text."""
    PIECES.append(text)
    return [1, 7] if begins else [7]


@pytest.fixture(autouse=True)
def forget() -> None:
    PIECES.clear()


def side(**changed: Any) -> TalkPrompts:
    return minigpt4({**CONFIGS["debug"].to_json(), **changed})


FORMS: dict[str, tuple[TalkPrompts, list[str], str, str]] = {
    "LLaVA-1.5": (llava({}), [f"{CHAT}USER: ", "\n", "\nQ? ASSISTANT:"], f"{CHAT}USER: Q? ASSISTANT:",
                  "USER: Q? ASSISTANT:"),
    "MiniGPT-4": (side(), [f"{IMAGES}###Human: <Img>", "</Img>###Human: <Img>", "</Img> Q?###Assistant: "],
                  f"{IMAGES}###Human: Q?###Assistant: ", "###Human: Q?###Assistant: "),
    "MiniGPT-4 with Llama 2": (
        side(has_qformer=False), [f"{IMAGES}<s>[INST] <Img>", "</Img><s>[INST] <Img>", "</Img> Q? [/INST] "],
        f"{IMAGES}<s>[INST] Q? [/INST] ", "<s>[INST] Q? [/INST] "),
    "MiniGPT-v2": (
        side(has_qformer=False, image_size=448), ["<s>[INST] <Img>", "</Img><s>[INST] <Img>", "</Img> Q? [/INST]"],
        "<s>[INST] Q? [/INST]", "<s>[INST] Q? [/INST]"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_each_form_in_its_pieces(name: str) -> None:
    form, pieces, text, later = FORMS[name]
    frames = [np.zeros((3, 4)), np.zeros((2, 4))]
    written = form.vision(encode, "Q?", frames)
    assert pieces == PIECES
    assert written.ids.tolist() == [[1, 7, 0, 1, 2, 7, 3, 4, 7]]
    assert written.codes.tolist() == [[False] * 2 + [True] * 3 + [False] + [True] * 2 + [False]]
    assert form.text(encode, "Q?").ids.tolist() == [[1, 7]]
    ends = [2] if name == "LLaVA-1.5" else []
    assert form.later(encode, "Q?", 2).ids.tolist() == [[*ends, 7]]
    assert PIECES[3:] == [text, later]
    assert form.stops == (() if name == "LLaVA-1.5" else ("###",))
