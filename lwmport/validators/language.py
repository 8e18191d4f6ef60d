"""Logits: what two models choose, and how far apart their distributions are, a few positions at a time.

With r and c the logits of the reference and of the candidate at one position, p = softmax(r) and q = softmax(c):

- top-1 agreement: the share of positions at which the largest of both is the same token;
- KL divergence: D(p || q) = sum p (log p - log q), in nats (S. Kullback, R. A. Leibler: On information and sufficiency,
  Annals of Mathematical Statistics 22(1), 1951). The reference comes first, as in llama.cpp's ``--kl-divergence``;
- greedy tokens: how many positions of a text, from its first on, have the same largest token. Each is chosen behind the
  text as it stands.
"""

import math
from typing import Final

import numpy as np

from lwmport.types import Array
from lwmport.validators.metrics import LanguageMetrics

PIECE: Final = 1 << 20
"""Logits at once: 8 MiB for each float64 temporary, 32 positions of 32,000 tokens."""


def language_metrics(reference: Array, candidate: Array) -> LanguageMetrics | None:
    """Return how two sets of logits [..., positions, tokens] differ to a reader, in float64.

    Positions at which every logit of the reference is 0 do not count: they are padding. None if no position counts. A
    position at which the candidate is not finite is infinitely far off, and agrees in nothing.
    """
    tokens, positions = reference.shape[-1], reference.shape[-2] if reference.ndim > 1 else 1
    rows, others = reference.reshape(-1, tokens), candidate.reshape(-1, tokens)
    step = max(PIECE // max(tokens, 1), 1)
    counts, same, divergences = [], [], []
    for start in range(0, len(rows), step):
        one, other = (side[start : start + step].astype(np.float64) for side in (rows, others))
        counts.append(one.any(axis=-1))
        same.append((one.argmax(axis=-1) == other.argmax(axis=-1)) & np.isfinite(other).all(axis=-1))
        divergences.append(divergence(one, other))
    counted = np.concatenate(counts) if counts else np.zeros(0, bool)
    if not counted.any():
        return None
    equal, apart = np.concatenate(same), np.concatenate(divergences)[counted]
    greedy = [prefix(texts[shown]) for texts, shown in zip(
        equal.reshape(-1, positions), counted.reshape(-1, positions), strict=True) if shown.any()]  # fmt: skip
    return LanguageMetrics(
        positions=int(counted.sum()),
        top1_agreement=float(equal[counted].mean()),
        mean_kl_nats=float(apart.mean()),
        max_kl_nats=float(apart.max()),
        greedy_tokens=sum(greedy),
        texts=len(greedy),
    )


def language_words(found: LanguageMetrics) -> str:
    """Return the numbers in words."""
    agree = round(found.top1_agreement * found.positions)
    texts = f" of {found.texts} texts" if found.texts > 1 else ""
    greedy = "all" if found.greedy_tokens == found.positions else f"the first {found.greedy_tokens}"
    return (
        f"the same token is first at {agree} of {found.positions} positions, KL divergence "
        f"{found.mean_kl_nats:.2g} nats (largest {found.max_kl_nats:.2g}), greedy tokens agree for {greedy}{texts}"
    )


def divergence(one: Array, other: Array) -> Array:
    """Return D(softmax(one) || softmax(other)) of each row, in nats; rounding below 0 is cut off."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        first, second = log_softmax(one), log_softmax(other)
        terms = np.exp(first) * (first - second)
        found = np.where(np.exp(first) > 0, terms, 0.0).sum(axis=-1)
    found[~np.isfinite(found)] = math.inf
    return np.asarray(np.maximum(found, 0.0))


def log_softmax(logits: Array) -> Array:
    """Return the logarithms of the probabilities of each row."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def prefix(same: Array) -> int:
    """Return how many entries are true before the first that is not."""
    wrong = np.flatnonzero(~same)
    return int(wrong[0]) if wrong.size else len(same)
