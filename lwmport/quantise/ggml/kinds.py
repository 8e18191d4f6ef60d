"""The kinds of tensors in a GGUF file: how many values a block of bytes holds, and how one becomes the other.

Sources: ggml.h (numbers), ggml-common.h (blocks).
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from lwmport.extras import require
from lwmport.quantise.ggml import q4_k, q6_k
from lwmport.types import Array


@dataclass(frozen=True, kw_only=True)
class BlockKind:
    """One kind of blocks.

    Attributes:
        name: as ggml has it.
        number: in the header of a file.
        values: that a block holds.
        nbytes: of a block.
    """

    name: str
    number: int
    values: int
    nbytes: int

    def stored_bytes(self, count: int) -> int:
        """Return the bytes of ``count`` values, which fill whole blocks."""
        return count // self.values * self.nbytes


KINDS: Final = {
    kind.name: kind
    for kind in (
        BlockKind(name="Q4_0", number=2, values=32, nbytes=18),
        BlockKind(name="Q4_1", number=3, values=32, nbytes=20),
        BlockKind(name="Q5_0", number=6, values=32, nbytes=22),
        BlockKind(name="Q5_1", number=7, values=32, nbytes=24),
        BlockKind(name="Q8_0", number=8, values=32, nbytes=34),
        BlockKind(name="Q2_K", number=10, values=256, nbytes=84),
        BlockKind(name="Q3_K", number=11, values=256, nbytes=110),
        BlockKind(name="Q4_K", number=12, values=256, nbytes=144),
        BlockKind(name="Q5_K", number=13, values=256, nbytes=176),
        BlockKind(name="Q6_K", number=14, values=256, nbytes=210),
    )
}
"""Kinds that are read."""

FLOATS: Final = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""Kinds that are plain numbers -> their dtype."""

FLOAT_NUMBERS: Final = {"F32": 0, "F16": 1, "BF16": 30}

OWN: Final = {"Q4_K": q4_k.quantised, "Q6_K": q6_k.quantised}
"""Kinds that the package gguf reads and does not write."""

AT_ONCE: Final = 256
"""Blocks of those that are made at once: the arrays of a search stay in a second cache of 1 MiB."""


IN_A_ROW: Final = 128
"""Blocks of a row that the package gguf is given."""


def quantised(values: Array, kind: BlockKind) -> Array:
    """Return float32 values, whole blocks in C order, as bytes: uint8 [blocks, bytes].

    The bytes are those of llama.cpp's quantiser without an importance matrix.

    Raises:
        MissingExtraError: the package gguf is not installed.
    """
    blocks = values.reshape(-1, kind.values)
    if kind.name in OWN:
        return _own(blocks, kind)
    gguf = require("gguf")
    found: Array = gguf.quants.quantize(_in_rows(blocks), gguf.GGMLQuantizationType[kind.name])
    return found.reshape(-1, kind.nbytes)


def _in_rows(blocks: Array) -> Array:
    """Return blocks [blocks, size] in longer rows: the package works on 16 rows at once, which is little of blocks."""
    count, size = blocks.shape
    return blocks.reshape(-1, size * math.gcd(count, IN_A_ROW))


def _own(blocks: Array, kind: BlockKind) -> Array:
    made = np.empty((len(blocks), kind.nbytes), np.uint8)
    for begin in range(0, len(blocks), AT_ONCE):
        made[begin : begin + AT_ONCE] = OWN[kind.name](blocks[begin : begin + AT_ONCE])
    return made


def dequantised(raw: Array, kind: BlockKind) -> Array:
    """Return the values, float32 [n], of whole blocks of bytes.

    Raises:
        MissingExtraError: the package gguf is not installed.
    """
    gguf = require("gguf")
    blocks = np.ascontiguousarray(raw).reshape(-1, kind.nbytes)
    found: Array = gguf.quants.dequantize(_in_rows(blocks), gguf.GGMLQuantizationType[kind.name])
    return found.reshape(-1)
