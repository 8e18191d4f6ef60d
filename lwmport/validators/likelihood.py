"""How well a language model expects a text, and what another one expects instead: the numbers of ``llama-perplexity``.

With l the negative logarithm of the probability that a model gives to the token that is there, in nats:

- perplexity: exp(mean l) (F. Jelinek, R. L. Mercer, L. R. Bahl, J. K. Baker: Perplexity - a measure of the difficulty
  of speech recognition tasks, 1977);
- its error: that of a mean of independent values, sd / sqrt(n - 1), carried through the function that is told.

Of a candidate beside a reference: those that llama.cpp's ``--kl-divergence`` prints (tools/perplexity/perplexity.cpp).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from lwmport.types import Array
from lwmport.validators.language import PIECE, divergence, log_softmax, prefix

PARTS: Final = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
"""Quantiles that are told, between which values are interpolated."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number and its standard error; 0 where one value alone tells none."""

    value: float
    error: float


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Values at all positions: the mean, the smallest and the largest one, and quantiles by their part, as text."""

    mean: Estimate
    smallest: float
    largest: float
    quantiles: Mapping[str, float]

    @property
    def median(self) -> float:
        """The value in the middle."""
        return self.quantiles["0.5"]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What happened at positions of a text, by a candidate and by its reference.

    Attributes:
        losses: l of the candidate, float64 [positions].
        reference: l of the reference; this and what follows is empty without one.
        divergences: D(reference || candidate), nats.
        same: whether the largest logit of both is of the same token.
    """

    losses: Array
    reference: Array
    divergences: Array
    same: Array


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A candidate beside its reference.

    Attributes:
        reference: perplexity of the reference.
        correlation: of l of both (Pearson); None where one of them is the same everywhere.
        log_ratio: ln(perplexity of the candidate / of the reference).
        ratio: the ratio itself.
        difference: perplexity of the candidate less that of the reference.
        kl: D(reference || candidate), nats.
        change: probability of the token that is there, candidate's less reference's, -1 to 1.
        change_rms: root of the mean square of the same.
        same_top: part of positions at which both have the same largest logit.
        greedy: positions from the first one on with the same largest logit, a window.
    """

    reference: Estimate
    correlation: float | None
    log_ratio: Estimate
    ratio: Estimate
    difference: Estimate
    kl: Spread
    change: Spread
    change_rms: Estimate
    same_top: Estimate
    greedy: float


def losses(logits: Array, targets: Array) -> Array:
    """Return l of tokens, int64 [n], by logits [n, vocabulary]: float64 [n], infinite where they are not finite."""
    found = [
        -np.take_along_axis(log_softmax(logits[part].astype(np.float64)), targets[part, None], axis=-1)[:, 0]
        for part in _parts(logits)
    ]
    return _or_infinite(np.concatenate(found))


def expected(targets: Array, logits: Array, reference: Array | None = None) -> Expected:
    """Return what a model expects where tokens [n] are, by logits [n, vocabulary], and what a reference expects."""
    if reference is None:
        none = np.zeros(0)
        return Expected(losses=losses(logits, targets), reference=none, divergences=none, same=none.astype(bool))
    apart, same = [], []
    for part in _parts(logits):
        one, other = reference[part].astype(np.float64), logits[part].astype(np.float64)
        apart.append(divergence(one, other))
        same.append((one.argmax(axis=-1) == other.argmax(axis=-1)) & np.isfinite(other).all(axis=-1))
    return Expected(
        losses=losses(logits, targets),
        reference=losses(reference, targets),
        divergences=np.concatenate(apart),
        same=np.concatenate(same),
    )


def joined(parts: Sequence[Expected]) -> Expected:
    """Return what happened at the positions of all parts, in their order."""
    names = [field.name for field in fields(Expected)]
    return Expected(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def perplexity(values: Array) -> Estimate:
    """Return the perplexity of l at all positions."""
    mean = _mean(values)
    value = _exp(mean.value)
    return Estimate(value=value, error=value * mean.error)


def comparison(windows: Sequence[Expected]) -> Comparison:
    """Return the candidate beside its reference over windows of a text."""
    whole = joined(windows)
    one, other = whole.losses, whole.reference
    mine, its = perplexity(one), perplexity(other)
    with np.errstate(invalid="ignore"):
        log_ratio, change = _mean(one - other), np.exp(-one) - np.exp(-other)
    ratio, square = _exp(log_ratio.value), _mean(np.square(change))
    rms = float(np.sqrt(square.value))
    return Comparison(
        reference=its,
        correlation=_correlation(one, other),
        log_ratio=log_ratio,
        ratio=Estimate(value=ratio, error=ratio * log_ratio.error),
        difference=Estimate(value=mine.value - its.value, error=_error_of_difference(one, other, mine, its)),
        kl=_spread(whole.divergences),
        change=_spread(change),
        change_rms=Estimate(value=rms, error=0.5 * square.error / rms if rms else 0.0),
        same_top=_mean(whole.same.astype(np.float64)),
        greedy=float(np.mean([prefix(window.same) for window in windows])),
    )


def _parts(logits: Array) -> list[slice]:
    step = max(PIECE // max(logits.shape[-1], 1), 1)
    return [slice(start, start + step) for start in range(0, len(logits), step)]


def _or_infinite(values: Array) -> Array:
    return np.asarray(np.where(np.isfinite(values), values, np.inf))


def _exp(value: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.exp(value))


def _mean(values: Array) -> Estimate:
    if not np.isfinite(values).all():
        return Estimate(value=float(np.mean(values)), error=float("inf"))
    error = np.sqrt(np.var(values) / (len(values) - 1)) if len(values) > 1 else 0.0
    return Estimate(value=float(np.mean(values)), error=float(error))


def _spread(values: Array) -> Spread:
    found = np.quantile(values, PARTS) if np.isfinite(values).all() else np.quantile(values, PARTS, method="lower")
    return Spread(
        mean=_mean(values),
        smallest=float(values.min()),
        largest=float(values.max()),
        quantiles={f"{part:g}": float(value) for part, value in zip(PARTS, found, strict=True)},
    )


def _correlation(one: Array, other: Array) -> float | None:
    if not (np.isfinite(one).all() and np.isfinite(other).all()) or not (np.ptp(one) and np.ptp(other)):
        return None
    return float(np.corrcoef(one, other)[0, 1])


def _error_of_difference(one: Array, other: Array, mine: Estimate, its: Estimate) -> float:
    """Return the error of a difference of perplexities that are measured on the same text, so that they go together."""
    if len(one) < 2 or not np.isfinite([mine.error, its.error]).all():
        return mine.error + its.error
    both = float(np.cov(one, other, bias=True)[0, 1]) / (len(one) - 1)
    return float(np.sqrt(max(mine.error**2 + its.error**2 - 2 * mine.value * its.value * both, 0.0)))
