"""What two sets of logits choose, on numbers that can be worked out by hand."""

import math

import numpy as np
import pytest

from lwmport.types import Kind, Status, TensorSpec, Tolerances
from lwmport.validators import language
from lwmport.validators.language import language_metrics, language_words
from lwmport.validators.outputs import compare_outputs


def logits(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array([rows], np.float32)


def test_equal_logits_agree_in_everything() -> None:
    found = language_metrics(logits((1, 2), (3, 0)), logits((1, 2), (3, 0)))
    assert found is not None
    assert (found.positions, found.top1_agreement, found.greedy_tokens, found.texts) == (2, 1.0, 2, 1)
    assert (found.mean_kl_nats, found.max_kl_nats) == (0.0, 0.0)


def test_the_divergence_is_that_of_the_formula_and_starts_from_the_reference() -> None:
    one, other = np.log([[0.5, 0.5]]), np.log([[0.25, 0.75]])
    forth, back = language_metrics(one[None], other[None]), language_metrics(other[None], one[None])
    assert forth is not None
    assert back is not None
    assert forth.mean_kl_nats == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), rel=1e-12)
    assert back.mean_kl_nats == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5), rel=1e-12)


def test_adding_a_constant_to_all_logits_changes_nothing() -> None:
    one = np.random.default_rng(0).standard_normal((2, 5, 11))
    found = language_metrics(one, one + 1000)
    assert found is not None
    assert found.max_kl_nats < 1e-12
    assert found.top1_agreement == 1.0


def test_greedy_tokens_end_at_the_first_that_differs() -> None:
    one = logits((9, 1), (9, 1), (1, 9), (9, 1))
    other = logits((9, 1), (9, 1), (9, 1), (9, 1))
    found = language_metrics(one, other)
    assert found is not None
    assert (found.greedy_tokens, found.top1_agreement) == (2, 0.75)
    assert "the same token is first at 3 of 4 positions" in language_words(found)
    assert "greedy tokens agree for the first 2" in language_words(found)


def test_padding_does_not_count() -> None:
    one, other = logits((0, 0), (0, 0), (2, 1)), logits((0, 0), (5, 7), (2, 1))
    found = language_metrics(one, other)
    assert found is not None
    assert (found.positions, found.greedy_tokens, found.max_kl_nats) == (1, 1, 0.0)
    assert language_metrics(np.zeros((1, 3, 2)), np.zeros((1, 3, 2))) is None


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_agrees_in_nothing(wrong: float) -> None:
    found = language_metrics(logits((1, 2, 0)), logits((1, wrong, 0)))
    assert found is not None
    assert (found.top1_agreement, found.greedy_tokens) == (0.0, 0)
    assert found.max_kl_nats == math.inf


def test_pieces_of_positions_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    one = random.standard_normal((2, 9, 7)).astype(np.float32)
    other = one + random.standard_normal(one.shape).astype(np.float32) * 0.1
    whole = language_metrics(one, other)
    monkeypatch.setattr(language, "PIECE", 7)
    assert language_metrics(one, other) == whole


def test_they_stand_beside_the_errors_and_decide_nothing() -> None:
    spec = TensorSpec(name="logits", shape=(1, "n", 3), dtype="float32")
    one = np.random.default_rng(2).standard_normal((1, 4, 3)).astype(np.float32)
    (found,) = compare_outputs(Tolerances(), (spec,), {"logits": one}, {"logits": one}, logits=("logits",))
    assert found.status is Status.PASSED
    assert found.kind is Kind.VALUES
    assert found.metrics["language"]["top1_agreement"] == 1.0
    assert found.reason.endswith("greedy tokens agree for all")
    (plain,) = compare_outputs(Tolerances(), (spec,), {"logits": one}, {"logits": one})
    assert plain.metrics["language"] is None
    (wrong,) = compare_outputs(Tolerances(), (spec,), {"logits": one}, {"logits": one + 1}, logits=("logits",))
    assert wrong.status is Status.FAILED
    assert wrong.metrics["language"]["top1_agreement"] == 1.0
