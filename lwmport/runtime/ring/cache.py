"""The keys and values of one rank's tokens, in every layer."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from lwmport.types import Array

TAIL: Final = 256
"""New tokens in a block: so many are copied at most when one more comes, and none of those before them."""


class RankCache:
    """Blocks of tokens: those of the prompt, and behind them new ones, `TAIL` at most in each.

    Args:
        layers: how many layers there are.
        dtype: what keys and values are held in.
        mask: [b, n] of the rank's own tokens of the prompt, 0 for padding.
    """

    def __init__(self, layers: int, dtype: Any, mask: Array) -> None:
        self._dtype = dtype
        self._masks = [mask]
        self._layers: list[list[Array]] = [[] for _ in range(layers)]
        self._opens = True

    def begin(self, layer: int, like: tuple[int, int, int]) -> Array:
        """Return a new block [2, b, heads, n, d] for the keys and values of the prompt; ``like`` are b, heads and d."""
        batch, heads, width = like
        block = np.empty((2, batch, heads, self._masks[0].shape[1], width), self._dtype)
        self._layers[layer] = [block]
        return block

    def grow(self, mask: Array) -> None:
        """Make a place for new tokens [b, n]: in the last block, or in a new one if that is full or the prompt's."""
        self._opens = len(self._masks) == 1 or self._masks[-1].shape[1] + mask.shape[1] > TAIL
        if self._opens:
            self._masks.append(mask)
        else:
            self._masks[-1] = np.concatenate([self._masks[-1], mask], axis=1)

    def put(self, layer: int, key: Array, value: Array) -> None:
        """Put the keys and values [b, heads, n, d] of new tokens into the place that was made."""
        block, blocks = np.stack([key, value]).astype(self._dtype), self._layers[layer]
        if self._opens:
            blocks.append(block)
        else:
            blocks[-1] = np.concatenate([blocks[-1], block], axis=3)

    def blocks(self, layer: int) -> Iterator[tuple[Array, Array]]:
        """Yield (keys and values [2, b, heads, n, d], mask [b, n]) of each block that holds tokens."""
        for block, mask in zip(self._layers[layer], self._masks, strict=True):
            if mask.shape[1]:
                yield block, mask
