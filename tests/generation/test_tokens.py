"""What is fed to a session, and which tokens come of it: guidance, forced tokens, ends."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lwmport.errors import UsageError
from lwmport.generation.choosing import Choosing
from lwmport.generation.tokens import Prompt, Wish, check_room, new_tokens
from lwmport.models.spec import GenerationMode
from lwmport.types import Array

TEXT = GenerationMode(logits=("text_logits", "logits"))
PICTURE = GenerationMode(logits=("vision_logits",), codes=True, every=3, forced=9)


class Scripted:
    """A session whose logits were written down: output -> rows -> vocabulary, the same at each step but moved on."""

    def __init__(self, **logits: list[list[float]]) -> None:
        self._logits = {name: np.asarray(rows, np.float32) for name, rows in logits.items()}
        self.fed: list[tuple[Any, ...]] = []

    def prefill(self, *given: Any) -> dict[str, Array]:
        self.fed.append(given)
        return self._out()

    def step(self, *given: Any, keep: int) -> dict[str, Array]:
        assert keep == 1
        self.fed.append(given[:2])
        return self._out()

    def _out(self) -> dict[str, Array]:
        moved = len(self.fed) - 1
        return {name: np.roll(rows, moved, axis=-1)[:, None] for name, rows in self._logits.items()}


PROMPT = Prompt(ids=np.asarray([[1, 2]]), mask=np.asarray([[0, 1]]), codes=np.asarray([[False, True]]))
PAIR = Prompt(ids=np.asarray([[1, 2], [3, 4]]))


def run(session: Scripted, prompt: Prompt, **wish: Any) -> list[list[int]]:
    found = list(new_tokens(session, prompt, Wish(**wish)))
    return np.stack(found, axis=1).tolist() if found else []


def test_each_token_but_the_last_is_fed_again() -> None:
    session = Scripted(logits=[[0, 1, 0, 0]])
    assert run(session, PROMPT, count=3, mode=TEXT, chunk=8) == [[1, 2, 3]]
    assert [given.tolist() for given in session.fed[0][:3]] == [[[1, 2]], [[0, 1]], [[False, True]]]
    assert session.fed[0][3] == 8
    assert [(ids.tolist(), codes.tolist()) for ids, codes in session.fed[1:]] == [
        ([[1]], [[False]]),
        ([[2]], [[False]]),
    ]


def test_a_model_without_codes_is_told_of_none() -> None:
    session = Scripted(logits=[[0, 1], [1, 0]])
    run(session, PAIR, count=2, mode=TEXT)
    assert [given[-1] for given in session.fed[1:]] == [None]


def test_every_third_token_is_forced_and_fed_as_a_code() -> None:
    session = Scripted(vision_logits=[[1, 0, 0]], text_logits=[[0, 0, 1]])
    assert run(session, PROMPT, count=7, mode=PICTURE) == [[0, 1, 9, 0, 1, 9, 0]]
    assert [ids.tolist() for ids, codes in session.fed[1:] if codes.all()] == [[[0]], [[1]], [[9]], [[0]], [[1]], [[9]]]


@pytest.mark.parametrize(("scale", "token"), [(0.0, 2), (1.0, 1), (3.0, 0)])
def test_guidance_moves_the_first_half_away_from_the_second(scale: float, token: int) -> None:
    session = Scripted(logits=[[1.5, 2.0, 0.0], [0.0, 1.5, 1.8]])
    assert run(session, PAIR, count=1, mode=TEXT, guidance=scale) == [[token], [token]]


def test_a_finished_row_waits_for_the_others() -> None:
    session = Scripted(logits=[[0, 1, 0, 0], [0, 0, 0, 1]])
    assert run(session, PAIR, count=9, mode=TEXT, stop=frozenset({2})) == [[1, 2, 2, 2], [3, 0, 1, 2]]
    assert session.fed[-1][0].tolist() == [[2], [1]]


def test_the_same_seed_gives_the_same_tokens() -> None:
    choosing = Choosing(temperature=1.0, seed=5)
    found = [run(Scripted(logits=[[0.0] * 50]), PROMPT, count=8, mode=TEXT, choosing=choosing) for _ in range(2)]
    assert found[0] == found[1]
    assert len(set(found[0][0])) > 1


def test_tokens_that_would_not_fit_are_refused_before_any_is_made() -> None:
    check_room(SimpleNamespace(limit=10), 8, 3)
    check_room(SimpleNamespace(limit=None), 8, 10**9)
    with pytest.raises(UsageError, match=r"expected at most 10 tokens .*, found a prompt of 8 and 4 new ones"):
        check_room(SimpleNamespace(limit=10), 8, 4)


def test_what_cannot_be_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"even number of rows with guidance, .* found 1"):
        run(Scripted(logits=[[0, 1]]), PROMPT, count=1, mode=TEXT, guidance=2.0)
    with pytest.raises(UsageError, match="expected the output vision_logits of the model, found logits"):
        run(Scripted(logits=[[0, 1]]), PROMPT, count=1, mode=PICTURE)
