"""How a token is chosen from logits: temperature, then the largest k, then the smallest set of probability p."""

from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol

import numpy as np

from lwmport.errors import UsageError
from lwmport.generation.draws import LARGEST_SEED, gumbel
from lwmport.types import Array


class Draw(Protocol):
    """Draws one token for each row. It is called once for each step, in their order."""

    def __call__(self, scores: Array, step: int) -> Array:
        """Return ids, int64 [rows], from scores float32 [rows, vocabulary]; what is left out is -inf."""


def check_guidance(scale: float | None) -> None:
    """Return if logits can be guided so much.

    Raises:
        UsageError: it is no finite number.
    """
    if scale is not None and not isfinite(scale):
        raise UsageError(f"expected a finite number as guidance (cfg_scale), found {scale:g}")


@dataclass(frozen=True, kw_only=True)
class Choosing:
    """What is done with logits before a token is drawn: in this order, as transformers' warpers do.

    Attributes:
        temperature: what logits are divided by; 0 takes the largest one, and nothing is drawn.
        top_k: how many of the largest logits stay; 0 for all.
        top_p: the probability that the most probable tokens that stay have together, at least.
        seed: of what is drawn.

    Raises:
        UsageError: a number out of its range.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not (isfinite(self.temperature) and self.temperature >= 0):
            raise UsageError(f"expected a temperature of 0 or more, found {self.temperature:g}")
        if self.top_k < 0:
            raise UsageError(f"expected top-k as a number of tokens, 0 for all, found {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"expected top-p above 0 and at most 1, found {self.top_p:g}")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise UsageError(f"expected a seed from 0 to {LARGEST_SEED}, found {self.seed}")


def draw_by_seed(seed: int, before: int = 0) -> Draw:
    """Return what draws by `gumbel`: the same tokens for the same scores, on every machine and every runner.

    ``before`` steps were drawn with the seed already.
    """

    def draw(scores: Array, step: int) -> Array:
        drawn = [
            row.astype(np.float64) + gumbel(seed, before + step, place, len(row)) for place, row in enumerate(scores)
        ]
        ids: Array = np.argmax(drawn, axis=-1)
        return ids

    return draw


def chosen(logits: Any, step: int, choosing: Choosing, draw: Draw) -> Array:
    """Return the next token of each row, int64 [rows].

    Of equal logits the first one is the largest.

    Args:
        logits: numbers [rows, vocabulary].
        step: how many tokens were chosen before.
        choosing: what stays, and whether anything is drawn.
        draw: draws from what stays.
    """
    scores = np.asarray(logits, np.float32)
    if not choosing.temperature or choosing.top_k == 1:
        largest: Array = np.argmax(scores, axis=-1)
        return largest
    scores = scores / np.float32(choosing.temperature)
    order = np.argsort(-scores, axis=-1, kind="stable")
    left = np.take_along_axis(scores, order, axis=-1)
    if choosing.top_k:
        left[:, choosing.top_k :] = -np.inf
    if choosing.top_p < 1:
        left[_before(left) >= choosing.top_p] = -np.inf
    np.put_along_axis(scores, order, left, axis=-1)
    return draw(scores, step)


def _before(scores: Array) -> Array:
    """Return the probability of all tokens in front of each one, [rows, vocabulary]; scores fall along a row."""
    weights = np.exp(scores - scores[:, :1])
    shares = weights / weights.sum(axis=-1, keepdims=True)
    found: Array = np.cumsum(shares, axis=-1) - shares
    return found
