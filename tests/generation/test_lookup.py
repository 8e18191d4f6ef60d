"""Guesses at tokens: what they are, and that a text with them is the text without them."""

from typing import Any

import numpy as np
import pytest

from lwmport.errors import UsageError
from lwmport.generation.choosing import Choosing
from lwmport.generation.guesses import Guesses, keys_of
from lwmport.generation.lookup import Lookup
from lwmport.generation.tokens import Prompt, Wish, new_tokens
from lwmport.models.spec import GenerationMode
from lwmport.types import Array

TEXT = GenerationMode(logits=("logits",))
SAID = np.asarray([1, 2, 3, 4, 5, 1, 2, 3])
WORDS = 7


class Rule:
    """A session whose logits follow from the last two tokens: it says texts that repeat, and some that do not."""

    at_once: int | None = None

    def __init__(self, seed: int) -> None:
        self._logits = np.random.default_rng(seed).standard_normal((WORDS, WORDS, WORDS)).astype(np.float32)
        self.held: list[int] = []
        self.runs = 0

    @property
    def length(self) -> int:
        return len(self.held)

    def prefill(self, ids: Array, *_: Any) -> dict[str, Array]:
        self.held = []
        return self.step(ids, None, None, keep=1)

    def step(self, ids: Array, *_: Any, keep: int) -> dict[str, Array]:
        self.runs += 1
        start = len(self.held)
        self.held += ids[0].tolist()
        pairs = [(self.held[place - 1] if place else 0, self.held[place]) for place in range(start, len(self.held))]
        return {"logits": np.stack([self._logits[pair] for pair in pairs])[None][:, -keep:]}

    def truncate(self, length: int) -> None:
        assert 0 < length <= len(self.held)
        del self.held[length:]


def text(session: Any, guesses: Guesses | None = None, **wish: Any) -> list[int]:
    made = new_tokens(session, Prompt(ids=np.asarray([[1, 2, 3]])), Wish(count=40, mode=TEXT, **wish), guesses=guesses)
    return [int(ids[0]) for ids in made]


def lookup_in(said: Array, codes: Array | None = None, *, most: int, mask: Array | None = None) -> Lookup:
    lookup = Lookup(most)
    lookup.begin(keys_of(said, codes, mask), held=0, kind=False, choose=lambda *_: said, chunk=None)
    return lookup


def test_what_stood_behind_the_last_tokens_is_guessed() -> None:
    lookup = lookup_in(SAID, most=4)
    assert lookup.guess(9).tolist() == [4, 5, 1, 2]
    assert lookup.guess(2).tolist() == [4, 5]
    lookup.add(6)
    assert lookup.guess(9).tolist() == []


def test_what_repeats_goes_on_repeating() -> None:
    assert lookup_in(np.asarray([3, 1, 2, 1, 2]), most=5).guess(5).tolist() == [1, 2, 1, 2, 1]


def test_a_code_is_no_word() -> None:
    codes = np.arange(len(SAID)) == 4
    assert lookup_in(SAID, codes, most=4).guess(4).tolist() == [4]
    assert lookup_in(SAID, np.arange(len(SAID)) == 1, most=4).guess(4).tolist() == []


def test_wrong_guesses_make_it_rest_longer_each_time() -> None:
    lookup, rests = lookup_in(SAID, most=4), []
    for _ in range(3):
        count = len(lookup.guess(4))
        lookup.checked(0, count)
        rest = 0
        while not lookup.guess(4).size:
            rest += 1
        rests.append(rest)
    assert rests == [2, 4, 8]


@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("seed", range(6))
def test_the_text_is_the_same_in_fewer_runs(seed: int, temperature: float) -> None:
    choosing = Choosing(temperature=temperature, seed=seed)
    plain, looking = Rule(seed), Rule(seed)
    found = text(plain, choosing=choosing)
    assert text(looking, Lookup(5), choosing=choosing) == found
    assert looking.held == plain.held == [1, 2, 3, *found[:-1]]
    assert looking.runs < plain.runs or temperature


def test_who_stops_reading_leaves_no_guess_behind() -> None:
    session = Rule(0)
    made = new_tokens(session, Prompt(ids=np.asarray([[1, 2, 3]])), Wish(count=40, mode=TEXT), guesses=Lookup(8))
    found = [int(next(made)[0]) for _ in range(20)]
    assert len(session.held) > 3 + 19
    made.close()
    assert session.held == [1, 2, 3, *found[:-1]]


def test_a_text_ends_within_a_guess() -> None:
    plain = text(Rule(0))
    stop = frozenset({plain[20]})
    assert text(Rule(0), Lookup(8), stop=stop) == text(Rule(0), stop=stop)


def test_what_checks_no_guesses_is_refused_in_one_line() -> None:
    session = Rule(0)
    session.at_once = 1
    with pytest.raises(UsageError, match="any number of tokens at once for lookup, found one that takes 1; leave"):
        text(session, Lookup(2))
    prompt = Prompt(ids=np.asarray([[1], [2]]))
    with pytest.raises(UsageError, match="expected one row for lookup, found 2"):
        next(new_tokens(Rule(0), prompt, Wish(count=4, mode=TEXT), guesses=Lookup(2)))
