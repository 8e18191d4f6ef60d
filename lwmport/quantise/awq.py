"""AWQ: channels that matter most are made larger before they are rounded, and smaller again where they are made.

A rounded weight is off by up to half a step of its group, whatever it is multiplied with. So a channel that is large
costs most. Multiplied by a factor above 1, its weights lose that much less, as long as they do not widen the steps of
their group (Lin et al., "AWQ", arXiv:2306.00978). Factors are powers of the mean magnitude of each channel; the power
is the one with the least error of the products, of a sample of tokens and of outputs.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from lwmport.quantise.factor_bounds import Bounds
from lwmport.types import Array, Fold

POWERS: Final = tuple(step / 10 for step in range(10))
"""The powers that are tried. The first is 0, which scales nothing: no matrix gets worse by it."""

TOKENS: Final = 512
"""Tokens of the sample."""

OUTPUTS: Final = 256
"""Outputs of a matrix that the power is chosen by: it is one for all of them, and some tell it."""

LARGEST: Final = 1000.0
"""No factor is larger, or smaller than one by this, however much their scales would bear (`Bounds`)."""

FREE: Final = Bounds(np.zeros(1), np.full(1, np.inf))
"""The bounds of factors where scales bear any."""

Nearest: TypeAlias = Callable[[Array], Array]
"""Returns what a matrix [inputs, outputs] becomes when it is rounded."""


class Met(NamedTuple):
    """What a matrix is multiplied with: mean magnitude and mean square [inputs], and a sample [tokens, inputs]."""

    magnitudes: Array
    squares: Array
    sample: Array


def met(rows: Array) -> Met:
    """Return what some rows [tokens, inputs] are like."""
    sample = rows[:: -(-len(rows) // TOKENS)]
    return Met(np.abs(rows).mean(axis=0), np.square(rows).mean(axis=0), np.ascontiguousarray(sample))


def best_factors(
    weights: Sequence[Array], nearest: Sequence[Nearest], inputs: Met, fold: Fold, bounds: Bounds = FREE
) -> Array:
    """Return the factors of channels, float32 [channels], that the matrices behind them lose least with.

    Args:
        weights: the matrices, float32 [inputs, outputs].
        nearest: how each of them is rounded.
        inputs: what all of them are multiplied with.
        fold: how channels become inputs.
        bounds: between which each of them lies.
    """
    some = [weight[:, :: -(-weight.shape[1] // OUTPUTS)] for weight in weights]
    sizes: Array = inputs.magnitudes.reshape(fold.blocks, fold.times, -1).mean(axis=1).reshape(-1)
    best, least = np.ones_like(sizes), np.inf
    for power in POWERS:
        factors = np.clip(_powers(sizes, power), *bounds).astype(np.float32)
        wide = widened(factors, fold)[:, None]
        lost = sum(
            product_error(inputs.sample, weight, make(weight * wide) / wide)
            for weight, make in zip(some, nearest, strict=True)
        )
        if lost < least:
            best, least = factors, lost
    return best


def widened(factors: Array, fold: Fold) -> Array:
    """Return the factor of each input, of the factors of channels."""
    found: Array = np.repeat(factors.reshape(fold.blocks, 1, -1), fold.times, axis=1).reshape(-1)
    return found


def product_error(sample: Array, weight: Array, rounded: Array) -> float:
    """Return the sum of the squared errors of products."""
    return float(np.square(sample @ (rounded - weight)).sum(dtype=np.float64))


def _powers(sizes: Array, power: float) -> Array:
    """Return sizes to a power, their geometric mean 1; a channel that is never met has the least of the others."""
    there = sizes[sizes > 0]
    if not there.size:
        return np.ones_like(sizes)
    logs = power * np.log(np.maximum(sizes, there.min()).astype(np.float64))
    found: Array = np.clip(np.exp(logs - logs.mean()), 1 / LARGEST, LARGEST).astype(np.float32)
    return found
