"""Guesses of a smaller model: fewer runs of the model, and the text that it makes alone."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from lwmport.errors import UsageError
from lwmport.generation.choosing import Choosing
from lwmport.generation.draft import Draft
from lwmport.generation.tokens import Prompt, Wish, new_tokens
from lwmport.models.spec import GenerationMode
from lwmport.types import Array

TEXT = GenerationMode(logits=("logits",))
WORDS = 7
PROMPT = np.asarray([[1, 2, 3]])


class Rule:
    """A session whose logits follow from the last two tokens; ``noise`` makes it another model, more or less."""

    at_once: int | None = None
    limit: int | None = None
    has_codes = False
    watch: Any = None

    def __init__(self, noise: float = 0.0) -> None:
        random = np.random.default_rng(0)
        own = random.standard_normal((WORDS, WORDS, WORDS)) + noise * random.standard_normal((WORDS, WORDS, WORDS))
        self._logits = own.astype(np.float32)
        self.held: list[int] = []
        self.runs = self.tokens = 0
        self.codes: list[Any] = []

    @property
    def length(self) -> int:
        return len(self.held)

    def prefill(self, ids: Array, _mask: Any = None, codes: Any = None, *_: Any) -> dict[str, Array]:
        self.held = []
        return self.step(ids, codes, None, keep=1)

    def step(self, ids: Array, codes: Any, *_: Any, keep: int) -> dict[str, Array]:
        assert self.limit is None or self.length + ids.shape[1] <= self.limit
        self.runs, self.tokens = self.runs + 1, self.tokens + ids.shape[1]
        self.codes.append(codes)
        start = len(self.held)
        self.held += ids[0].tolist()
        pairs = [(self.held[place - 1] if place else 0, self.held[place]) for place in range(start, len(self.held))]
        return {"logits": np.stack([self._logits[pair] for pair in pairs])[None][:, -keep:]}

    def truncate(self, length: int) -> None:
        assert 0 < length <= len(self.held)
        del self.held[length:]

    def reset(self) -> None:
        self.held = []


def made(session: Any, draft: Draft | None, prompt: Prompt | None = None, **wish: Any) -> Iterator[int]:
    asked = Wish(count=wish.pop("count", 40), mode=wish.pop("mode", TEXT), **wish)
    return (int(ids[0]) for ids in new_tokens(session, prompt or Prompt(ids=PROMPT), asked, guesses=draft))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("noise", [0.0, 0.3, 3.0])
def test_the_text_is_the_same_whatever_the_draft_is(noise: float, temperature: float) -> None:
    choosing = Choosing(temperature=temperature, seed=5)
    plain, model, draft = Rule(), Rule(), Draft(Rule(noise), 4)
    found = list(made(plain, None, choosing=choosing))
    assert list(made(model, draft, choosing=choosing)) == found
    assert model.held == plain.held == [1, 2, 3, *found[:-1]]
    told = draft.guessed
    assert told.runs == model.runs
    assert len(found) == told.runs + told.accepted
    assert told.accepted <= told.proposed
    if not noise:  # the draft is the model: it is right each time, drawn or not
        assert (told.accepted, told.proposed, told.runs) == (31, 31, 9)
        assert told.per_run == 40 / 9


def test_a_wrong_draft_rests_and_costs_few_runs() -> None:
    small = Rule(100.0)
    draft = Draft(small, 4)
    list(made(Rule(), draft, count=200))
    assert draft.guessed.accepted < 0.4 * draft.guessed.proposed
    assert small.runs < 150


def test_the_draft_keeps_its_cache_from_one_answer_to_the_next() -> None:
    model, small = Rule(), Rule(0.3)
    draft = Draft(small, 4)
    first = list(made(model, draft, count=20))
    before = small.tokens
    further = np.asarray([[first[-1], 5, 6]])
    second = list(made(model, draft, Prompt(ids=further, goes_on=True), count=20))
    plain = Rule()
    list(made(plain, None, count=20))
    assert second == list(made(plain, None, Prompt(ids=further, goes_on=True), count=20))
    assert small.tokens - before < 3 + 4 * 20
    assert small.held[:25] == [1, 2, 3, *first[:-1], *further[0].tolist()]


def test_who_stops_reading_leaves_no_guess_behind_and_goes_on() -> None:
    model, draft = Rule(), Draft(Rule(), 8)
    reading = new_tokens(model, Prompt(ids=PROMPT), Wish(count=40, mode=TEXT), guesses=draft)
    found = [int(next(reading)[0]) for _ in range(7)]
    reading.close()
    assert model.held == [1, 2, 3, *found[:-1]]
    rest = list(made(model, draft, Prompt(ids=np.asarray([[found[-1]]]), goes_on=True), count=13))
    assert [*found, *rest] == list(made(Rule(), None, count=20))


def test_a_draft_with_less_room_stops_guessing_there() -> None:
    model, small = Rule(), Rule()
    small.limit = 20
    draft = Draft(small, 4)
    assert list(made(model, draft)) == list(made(Rule(), None))
    assert 0 < draft.guessed.accepted < 20


def test_a_draft_of_words_alone_is_told_no_codes() -> None:
    model, small = Rule(), Rule()
    model.has_codes = True
    prompt = Prompt(ids=np.asarray([[1, 6, 2, 3]]), codes=np.asarray([[False, True, False, False]]))
    draft = Draft(small, 4)
    list(made(model, draft, prompt, count=9))
    assert small.held[:3] == [1, 2, 3]
    assert all(codes is None for codes in small.codes)
    seeing = Rule()
    seeing.has_codes = True
    list(made(Rule(), Draft(seeing, 4), prompt, count=9))
    assert seeing.held[:4] == [1, 6, 2, 3]
    assert seeing.codes[0].tolist() == [[False, True, False, False, False]]


def test_what_was_said_is_forgotten_with_its_cache() -> None:
    small = Rule()
    draft = Draft(small, 4)
    list(made(Rule(), draft, count=9))
    draft.forget()
    assert not small.held
    assert list(made(Rule(), draft, count=9)) == list(made(Rule(), None, count=9))


def test_what_checks_no_guesses_is_refused_in_one_line() -> None:
    model = Rule()
    model.at_once = 1
    with pytest.raises(UsageError, match="any number of tokens at once for draft, found one that takes 1; leave"):
        list(made(model, Draft(Rule(), 2)))
