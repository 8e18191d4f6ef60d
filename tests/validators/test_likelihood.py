"""The numbers of ``llama-perplexity``, beside the same made another way."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.special

from lwmport.validators.likelihood import Expected, comparison, expected, joined, losses, perplexity

DRAWN = np.random.default_rng(0)
REFERENCE = DRAWN.normal(size=(40, 30)).astype(np.float32) * 3
CANDIDATE = REFERENCE + DRAWN.normal(size=(40, 30)).astype(np.float32)
TARGETS = DRAWN.integers(0, 30, 40)


def found(candidate: Any = CANDIDATE) -> Any:
    return comparison(
        [expected(TARGETS[part], candidate[part], REFERENCE[part]) for part in (slice(25), slice(25, 40))]
    )


def test_losses_are_those_of_a_softmax() -> None:
    p = scipy.special.softmax(REFERENCE.astype(np.float64), axis=-1)[range(40), TARGETS]
    assert losses(REFERENCE, TARGETS) == pytest.approx(-np.log(p))
    one = perplexity(losses(REFERENCE, TARGETS))
    assert one.value == pytest.approx(math.exp(np.mean(-np.log(p))))
    assert one.error == pytest.approx(one.value * math.sqrt(np.var(np.log(p)) / 39))


def test_a_candidate_beside_its_reference() -> None:
    p, q = (scipy.special.softmax(side.astype(np.float64), axis=-1) for side in (REFERENCE, CANDIDATE))
    kl = scipy.special.rel_entr(p, q).sum(axis=-1)
    here, there = -np.log(p[range(40), TARGETS]), -np.log(q[range(40), TARGETS])
    one = found()
    assert one.reference.value == pytest.approx(math.exp(here.mean()))
    assert one.log_ratio.value == pytest.approx((there - here).mean())
    assert one.log_ratio.error == pytest.approx(np.std(there - here) / math.sqrt(39))
    assert one.ratio.value == pytest.approx(math.exp((there - here).mean()))
    mine, its = math.exp(there.mean()), math.exp(here.mean())
    assert one.difference.value == pytest.approx(mine - its)
    assert one.difference.error == pytest.approx(np.std(mine * there - its * here) / math.sqrt(39))
    assert one.correlation == pytest.approx(np.corrcoef(here, there)[0, 1])
    assert (one.kl.mean.value, one.kl.median, one.kl.largest) == pytest.approx((kl.mean(), np.median(kl), kl.max()))
    assert one.kl.quantiles["0.99"] == pytest.approx(np.quantile(kl, 0.99))
    change = (q - p)[range(40), TARGETS]
    assert one.change.mean.value == pytest.approx(change.mean())
    assert one.change_rms.value == pytest.approx(math.sqrt(np.mean(change**2)))
    same = p.argmax(axis=-1) == q.argmax(axis=-1)
    assert one.same_top.value == pytest.approx(same.mean())
    assert one.same_top.error == pytest.approx(math.sqrt(same.mean() * (1 - same.mean()) / 39))
    prefixes = [int(np.argmin([*part, False])) for part in (same[:25], same[25:])]
    assert one.greedy == np.mean(prefixes)


def test_numbers_that_are_not_finite_are_never_near() -> None:
    broken = CANDIDATE.copy()
    broken[3, 4] = np.nan
    one = found(broken)
    assert one.kl.largest == one.kl.mean.value == math.inf
    assert one.ratio.value == math.inf
    assert one.correlation is None
    assert not expected(TARGETS, broken, REFERENCE).same[3]


def test_without_a_reference_there_are_losses_alone() -> None:
    one = expected(TARGETS, CANDIDATE)
    assert (len(one.losses), len(one.reference), len(one.same)) == (40, 0, 0)
    both = joined([one, one])
    assert isinstance(both, Expected)
    assert len(both.losses) == 80


def test_one_position_has_no_error() -> None:
    one = comparison([expected(TARGETS[:1], CANDIDATE[:1], REFERENCE[:1])])
    assert (one.log_ratio.error, one.difference.error, one.correlation) == (0.0, 0.0, None)
