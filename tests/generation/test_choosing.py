"""How a token is chosen: the order of what is left out, and draws by seed, step and row."""

import math
from pathlib import Path

import numpy as np
import pytest

from lwmport.errors import UsageError
from lwmport.generation.choosing import Choosing, chosen, draw_by_seed
from lwmport.generation.draws import gumbel
from lwmport.pipeline.compile.run import CompileRequest
from lwmport.pipeline.generate.request import GenerateRequest
from lwmport.types import Array

LOGITS = np.log(np.asarray([[0.1, 0.4, 0.3, 0.2]], np.float32))


def kept(choosing: Choosing, logits: Array = LOGITS) -> list[int]:
    """Return the tokens that can be drawn."""
    seen: list[Array] = []

    def draw(scores: Array, _step: int) -> Array:
        seen.append(scores)
        return np.zeros(len(scores), np.int64)

    chosen(logits, 0, choosing, draw)
    return [int(token) for token in np.flatnonzero(np.isfinite(seen[0][0]))]


def never(_scores: Array, _step: int) -> Array:
    raise AssertionError


@pytest.mark.parametrize("choosing", [Choosing(), Choosing(temperature=1.0, top_k=1)])
def test_the_largest_is_taken_without_a_draw_and_the_first_of_equals(choosing: Choosing) -> None:
    assert chosen(LOGITS, 0, choosing, never).tolist() == [1]
    assert chosen(np.zeros((2, 3), np.float32), 0, choosing, never).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("choosing", "left"),
    [
        (Choosing(temperature=1.0), [0, 1, 2, 3]),
        (Choosing(temperature=1.0, top_k=2), [1, 2]),
        (Choosing(temperature=1.0, top_k=9), [0, 1, 2, 3]),
        (Choosing(temperature=1.0, top_p=0.39), [1]),
        (Choosing(temperature=1.0, top_p=0.41), [1, 2]),
        (Choosing(temperature=1.0, top_p=0.01), [1]),
        (Choosing(temperature=0.25, top_p=0.7), [1]),  # the temperature comes first: 0.4**4 is 0.71 of all
        (Choosing(temperature=1.0, top_k=2, top_p=0.5), [1]),  # then the largest k: 0.4 of 0.7 is enough
    ],
)
def test_what_stays(choosing: Choosing, left: list[int]) -> None:
    assert kept(choosing) == left


def test_of_equal_logits_exactly_k_stay() -> None:
    assert kept(Choosing(temperature=1.0, top_k=2), np.zeros((1, 5), np.float32)) == [0, 1]


def test_draws_follow_the_probabilities() -> None:
    draw, choosing = draw_by_seed(7), Choosing(temperature=1.0, seed=7)
    drawn = np.concatenate([chosen(np.repeat(LOGITS, 50, axis=0), step, choosing, draw) for step in range(200)])
    shares = np.bincount(drawn, minlength=4) / drawn.size
    assert np.abs(shares - np.exp(LOGITS[0])).max() < 4 * math.sqrt(0.24 / drawn.size)  # four deviations


def test_a_draw_depends_on_seed_step_and_row_alone() -> None:
    draw = draw_by_seed(3)
    scores = np.zeros((4, 1000), np.float32)
    first = draw(scores, 5)
    assert len(set(first.tolist())) > 1
    assert draw(scores, 5).tolist() == first.tolist() == draw_by_seed(3)(scores, 5).tolist()
    assert draw(scores[:2], 5).tolist() == first[:2].tolist()
    assert draw(scores, 6).tolist() != first.tolist() != draw_by_seed(4)(scores, 5).tolist()


def test_the_numbers_are_these_on_every_machine() -> None:
    assert gumbel(1234, 0, 0, 3) == pytest.approx(
        [-0.09025188039098175, 0.6384882100268893, 0.9982930509288517], abs=1e-12
    )


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"temperature": -1.0}, "found -1"),
        ({"temperature": math.nan}, "found nan"),
        ({"top_k": -1}, "found -1"),
        ({"top_p": 0.0}, "found 0"),
        ({"top_p": 1.5}, "found 1.5"),
        ({"seed": -1}, "found -1"),
    ],
)
def test_a_number_out_of_its_range_is_one_line(fields: dict[str, float], found: str) -> None:
    with pytest.raises(UsageError, match=found):
        Choosing(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [float("nan"), float("inf")])
def test_a_scale_of_guidance_is_a_number(scale: float) -> None:
    with pytest.raises(UsageError, match="expected a finite number as guidance"):
        GenerateRequest(model=Path("m"), prompt=Path("p.npz"), out=Path("o.npz"), new_tokens=1, cfg_scale=scale)


def test_a_bound_that_is_no_number_is_refused() -> None:
    with pytest.raises(UsageError, match="expected --lossy as decibels of 0 or more, found nan"):
        CompileRequest(artifact=Path("m.onnx"), target="cpu", fastest=True, lossy=float("nan"))
