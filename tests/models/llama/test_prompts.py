"""LWM's prompts, token by token: the pieces that its scripts encode, and what stands between them."""

import numpy as np
import pytest

from lwmport.models.llama.prompts import LENGTH, later_prompt, picture_prompts, text_prompt, vision_prompt

PIECES: list[str] = []


def encode(text: str) -> list[int]:
    """Return token 1, and one token for each word, as it is counted from 100 on; ``<s>`` is token 1 too."""
    ids = [1]
    if text.startswith("<s>"):
        ids, text = [1, 1], text[3:]
    PIECES.append(text)
    return [*ids, *(100 + len(word) for word in text.split())]


@pytest.fixture(autouse=True)
def forget() -> None:
    PIECES.clear()


def test_a_question_about_a_picture_is_encoded_in_four_pieces() -> None:
    written = vision_prompt(encode, "What is it?", [np.asarray([[7, 8], [9, 10]])])
    assert PIECES == ["You are a helpful assistant. USER: What is it?\n", "<vision>", "</vision>", " ASSISTANT:"]
    head = [1, 1, 103, 103, 101, 107, 110, 105, 104, 102, 103, 1, 108]
    assert written.ids.tolist() == [[*head, 7, 8, 9, 10, 8193, 1, 109, 1, 110]]
    assert written.codes.tolist() == [[False] * len(head) + [True] * 5 + [False] * 4]
    assert written.mask.all()


def test_each_frame_ends_with_8193_as_in_lwms_script() -> None:
    frames = [np.asarray([5, 6]), np.asarray([7, 8]), np.asarray([9, 4])]
    written = vision_prompt(encode, "", frames)
    assert written.ids[written.codes].tolist() == [5, 6, 8193, 7, 8, 8193, 9, 4, 8193]


def test_a_question_without_a_picture() -> None:
    assert text_prompt(encode, "Why?").ids[0, 0] == 1
    assert PIECES == ["You are a helpful assistant. USER: Why? ASSISTANT:"]


def test_a_later_question_ends_the_answer_first() -> None:
    assert later_prompt(encode, "Why?", 2).ids.tolist() == [[2, 1, 105, 104, 110]]
    assert later_prompt(encode, "Why?", None).ids.tolist() == [[1, 105, 104, 110]]


def test_a_description_has_128_tokens_padded_on_the_left_beside_one_without() -> None:
    written = picture_prompts(encode, "an image", "a cat", 0)
    assert PIECES == [
        "You are a helpful assistant. USER: Generate an image of a cat ASSISTANT: <vision>",
        "<vision>",
    ]
    assert written.ids.shape == (2, LENGTH)
    assert written.ids[1].tolist() == [0] * 125 + [1, 1, 108]
    assert written.mask.sum(axis=1).tolist() == [16, 3]
    assert (written.ids[written.mask == 0] == 0).all()
    assert not written.codes.any()


def test_of_a_long_description_the_first_token_and_the_end_stay() -> None:
    written = picture_prompts(encode, "an image", " ".join(["word"] * 300), 0)
    assert written.mask[0].all()
    assert written.ids[0].tolist() == [1, *[104] * 125, 110, 108]


def test_the_first_frame_of_a_video_stands_behind_the_prompt_in_both_rows() -> None:
    written = picture_prompts(encode, "a video", "a cat", 0, np.asarray([5, 6, 8192]))
    assert written.ids[:, LENGTH:].tolist() == [[5, 6, 8192]] * 2
    assert written.codes[:, LENGTH:].all()
    assert written.mask[:, LENGTH:].all()
