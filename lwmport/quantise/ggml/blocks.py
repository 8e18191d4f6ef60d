"""Values become blocks of ggml, and blocks become values again."""

import math
from typing import Final

import numpy as np

from lwmport.extras import require
from lwmport.ggml_kinds import BlockKind
from lwmport.quantise.ggml import lines, q6_k
from lwmport.types import Array

OWN: Final = {"Q4_K": lines.four_bits, "Q5_K": lines.five_bits, "Q6_K": q6_k.quantised}
"""Kinds that the package gguf reads and does not write."""

AT_ONCE: Final = 512
"""Blocks of those that are made at once: their values are half of a second cache of 1 MiB."""

IN_A_ROW: Final = 128
"""Blocks of a row that the package gguf is given."""


def quantised(values: Array, kind: BlockKind, *, compiled: bool = False) -> Array:
    """Return float32 values, whole blocks in C order, as bytes: uint8 [blocks, bytes].

    The bytes are those of llama.cpp's quantiser without an importance matrix. ``compiled`` is whether XLA makes the
    tries of `OWN`: twice as fast as numpy, for half a second at the first call for a kind.

    Raises:
        MissingExtraError: the package gguf is not installed.
    """
    blocks = values.reshape(-1, kind.values)
    if kind.name in OWN:
        return _own(blocks, kind, compiled=compiled)
    gguf = require("gguf")
    found: Array = gguf.quants.quantize(_in_rows(blocks), gguf.GGMLQuantizationType[kind.name])
    return found.reshape(-1, kind.nbytes)


def _in_rows(blocks: Array) -> Array:
    """Return blocks [blocks, size] in longer rows: the package works on 16 rows at once, which is little of blocks."""
    count, size = blocks.shape
    return blocks.reshape(-1, size * math.gcd(count, IN_A_ROW))


def _own(blocks: Array, kind: BlockKind, *, compiled: bool) -> Array:
    """Return the blocks of a kind of `OWN`; a program is compiled for `AT_ONCE` of them, and not for the rest."""
    made = np.empty((len(blocks), kind.nbytes), np.uint8)
    for begin in range(0, len(blocks), AT_ONCE):
        some = blocks[begin : begin + AT_ONCE]
        made[begin : begin + AT_ONCE] = OWN[kind.name](some, compiled=compiled and len(some) == AT_ONCE)
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
