"""ggml's float32 arithmetic, for many groups of values at once."""

from typing import Any, Final

import numpy as np

from lwmport.types import Array

SIX_BITS: Final = np.float32(63)


def by_groups(blocks: Array, group: int) -> Array:
    """Return values [blocks, values] as [group, groups], contiguous."""
    return np.ascontiguousarray(blocks.reshape(-1, group).T)


def summed(values: Array) -> Array:
    """Return the sum of each group of ``values`` [group, groups], one value added after the other."""
    found: Array = np.add.reduce(values, axis=0)
    return found


def levels(x: Array, low: Any, stretch: Array, top: np.float32, out: Array | None = None) -> Array:
    """Return the level from 0 to ``top`` that ``(x - low) * stretch`` is nearest to; of two the even one."""
    q: Array = np.subtract(x, low, out=out)
    np.multiply(q, stretch, out=q)
    np.rint(q, out=q)
    return np.clip(q, 0, top, out=q)


def six_bits(parts: Array) -> tuple[Array, Array]:
    """Return the unit of each block, float16 [blocks], and its parts [blocks, 8] in units of it, 0 to 63."""
    largest = np.maximum(parts.max(axis=1), np.float32(0))
    inverse = np.where(largest > 0, SIX_BITS / largest, np.float32(0)).astype(np.float32)
    found = np.rint(inverse[:, None] * parts).astype(np.int32).astype(np.uint8)
    return (largest / SIX_BITS).astype(np.float16), np.minimum(found, np.uint8(SIX_BITS))


def half_bytes(values: Array) -> Array:
    """Return float16 [n] as bytes [n, 2], the low one first."""
    return values.astype("<f2").view(np.uint8).reshape(-1, 2)
