"""Windows of a text, and which logits of which model belong to which token that counts, by a model that only counts."""

from typing import Any

import numpy as np
import pytest

from lwmport.errors import UsageError
from lwmport.models.spec import GenerationMode
from lwmport.pipeline.evaluate.language.texts import Piece, Source
from lwmport.pipeline.evaluate.language.windows import Window, scored, windows

MODES = {
    "text": GenerationMode(logits=("text_logits", "logits")),
    "vision": GenerationMode(logits=("vision_logits",), codes=True),
}


class Counting:
    """A session whose logits for a token are its id, and its place in the sequence; it keeps what it was fed."""

    def __init__(self, *, width: int = 1, rows: int | None = None, names: tuple[str, ...] = ("logits",)) -> None:
        self.width, self.rows, self.has_codes, self.names = width, rows, "vision_logits" in names, names
        self.fed: list[list[int]] = []
        self.held = 0

    def prefill(self, ids: Any, mask: Any, codes: Any, chunk: int, *, keep: int) -> dict[str, Any]:
        assert mask is None
        assert chunk >= 1
        self.held = 0
        return self.step(ids, codes, chunk, keep=keep)

    def step(self, ids: Any, codes: Any, chunk: int, *, keep: int) -> dict[str, Any]:
        assert (codes is not None) == self.has_codes
        assert len(ids) == (self.rows or 1)
        assert not self.held or ids.shape[1] % self.width == 0
        assert ids.shape[1] <= chunk or not self.held
        self.fed.append(ids[0].tolist())
        places = self.held + np.arange(ids.shape[1])
        self.held += ids.shape[1]
        logits = np.stack([ids, np.broadcast_to(places, ids.shape)], axis=-1)[:, -keep:].astype(np.float32)
        return {name: np.pad(logits, ((0, 0), (0, 0), (0, 98))) for name in self.names}


@pytest.mark.parametrize(("width", "rows", "chunk"), [(1, None, 3), (4, None, 6), (1, 2, 100), (7, 3, 1)])
def test_a_token_that_counts_gets_the_logits_of_the_token_before_it(width: int, rows: int | None, chunk: int) -> None:
    window = Window(ids=np.arange(50, 70), codes=np.zeros(20, bool), first=10)
    session, other = Counting(width=width, rows=rows), Counting()
    found = list(scored([session, other], window, MODES, max(chunk, width)))  # type: ignore[list-item]
    targets = np.concatenate([one.targets for one in found])
    assert targets.tolist() == list(range(61, 70))
    for side in (0, 1):
        logits = np.concatenate([one.logits[side] for one in found])
        assert logits[:, 0].tolist() == list(range(60, 69))
        assert logits[:, 1].tolist() == list(range(10, 19))
    for one in (session, other):
        assert [token for part in one.fed for token in part] == list(range(50, 69))


def test_words_and_codes_count_by_their_own_logits_where_there_are_some() -> None:
    codes = np.arange(12) >= 9
    window = Window(ids=np.arange(12), codes=codes, first=6)
    both = list(scored([Counting(names=("text_logits", "vision_logits"))], window, MODES, 100))  # type: ignore[list-item]
    assert [one.targets.tolist() for one in both] == [[7, 8], [9, 10, 11]]
    words = list(scored([Counting(names=("text_logits",))], window, MODES, 100))  # type: ignore[list-item]
    assert [one.targets.tolist() for one in words] == [[7, 8]]


def test_another_vocabulary_is_one_line() -> None:
    window = Window(ids=np.full(8, 200), codes=np.zeros(8, bool), first=4)
    with pytest.raises(UsageError, match="expected tokens below 100, found 200; is it another tokenizer"):
        list(scored([Counting()], window, MODES, 100))  # type: ignore[list-item]


def test_windows_stand_side_by_side_or_a_stride_apart_and_begin_as_texts_do() -> None:
    pieces = (Piece(ids=np.arange(5, 25), codes=np.zeros(20, bool)), Piece(ids=np.arange(3), codes=np.ones(3, bool)))
    source = Source(name="t", sha256="", pieces=pieces, begin=1)
    found = windows(source, 8, None)
    assert [(one.ids[:2].tolist(), one.first) for one in found] == [([1, 6], 4), ([1, 14], 4)]
    strided = windows(source, 8, 3)
    assert [(int(one.ids[1]), one.first) for one in strided] == [(6, 4), (9, 4), (12, 4), (15, 4), (18, 4)]
    with pytest.raises(UsageError, match="expected at least 21 tokens in t, found 20"):
        windows(source, 21, None)
