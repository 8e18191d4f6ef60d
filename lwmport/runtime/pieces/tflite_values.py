"""Values as a TFLite file holds them: of some types a byte holds several."""

from collections.abc import Sequence
from math import prod
from typing import Final

import numpy as np

from lwmport.types import Array, dtype_of

PACKED: Final = {"INT2": 2, "INT4": 4, "UINT4": 4}
"""Types of which a byte holds several values, the first one in its low bits -> bits of a value."""


def bytes_of(word: str, shape: Sequence[int]) -> int:
    """Return the bytes that a file has for a tensor of a type of the schema."""
    return -(-prod(shape) * PACKED.get(word, 8 * dtype_of(word.lower()).itemsize) // 8)


def read(content: Array, word: str, shape: Sequence[int]) -> Array:
    """Return the values of as many bytes as `bytes_of` says, as they lie there where that can be."""
    dtype = dtype_of(word.lower())
    values = _unpacked(content, word, prod(shape)).astype(dtype) if word in PACKED else content.view(dtype)
    return values.reshape(shape)


def packed(array: Array, word: str) -> Array:
    """Return the bytes that a TFLite file has for some values."""
    plain = np.ascontiguousarray(array).reshape(-1)
    if word not in PACKED:
        return plain.view(np.uint8)
    bits = PACKED[word]
    each = 8 // bits
    numbers = plain.astype(np.int8).view(np.uint8) & ((1 << bits) - 1)
    filled = np.concatenate([numbers, np.zeros(-len(numbers) % each, np.uint8)]).reshape(-1, each)
    found: Array = np.bitwise_or.reduce(filled << (np.arange(each, dtype=np.uint8) * bits), axis=1)
    return found


def _unpacked(content: Array, word: str, count: int) -> Array:
    bits = PACKED[word]
    shifts = np.arange(8 // bits, dtype=np.uint8) * bits
    numbers = ((content[:, None] >> shifts) & ((1 << bits) - 1)).reshape(-1)[:count].astype(np.int8)
    sign = 0 if word.startswith("U") else 1 << (bits - 1)
    found: Array = np.subtract(np.bitwise_xor(numbers, sign), sign)
    return found
