"""How far what a quantised language model says of the next token is from what the exact one says."""

from dataclasses import dataclass

import numpy as np

from lwmport.types import Array
from lwmport.validators.language import divergence, log_softmax


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """KL divergence from the exact model in nats, the share of positions with the same first token, and perplexity."""

    mean: float
    median: float
    most_of_100: float
    largest: float
    same_top: float
    perplexity: float


def compared(exact: Array, found: Array, tokens: Array) -> Divergence:
    """Return the statement on some windows.

    Args:
        exact: logits [windows, positions, vocabulary].
        found: the same, of the quantised model.
        tokens: what both have read, int64 [windows, positions].
    """
    rows = [_window(one, other, own) for one, other, own in zip(exact, found, tokens, strict=True)]
    apart, same, surprise = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    return Divergence(
        mean=float(apart.mean()),
        median=float(np.median(apart)),
        most_of_100=float(np.quantile(apart, 0.99)),
        largest=float(apart.max()),
        same_top=float(same.mean()),
        perplexity=float(np.exp(surprise.mean())),
    )


def _window(exact: Array, found: Array, tokens: Array) -> tuple[Array, Array, Array]:
    """Return divergences, whether the first tokens are the same, and what the next token's surprise is, in nats."""
    one, other = exact.astype(np.float64), found.astype(np.float64)
    said = np.take_along_axis(log_softmax(other[:-1]), tokens[1:, None], axis=-1)
    return divergence(one, other), one.argmax(axis=-1) == other.argmax(axis=-1), -said[:, 0]
