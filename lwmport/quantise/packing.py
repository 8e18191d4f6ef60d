"""Codes of 4 bits as bytes: two in each, the first of them in the low half, as ONNX and TFLite have them."""

import numpy as np

from lwmport.types import Array


def packed(codes: Array, bits: int) -> Array:
    """Return codes (uint8) with as many as fit in each byte along the last axis; a last byte is filled up with 0."""
    if bits == 8:
        return codes
    if codes.shape[-1] % 2:
        codes = np.concatenate([codes, np.zeros((*codes.shape[:-1], 1), np.uint8)], axis=-1)
    return paired(codes[..., 0::2], codes[..., 1::2])


def paired(low: Array, high: Array) -> Array:
    """Return bytes whose halves are two arrays of codes."""
    made = high << np.uint8(4)
    made |= low
    return made


def unpacked(stored: Array, bits: int, count: int) -> Array:
    """Return the first ``count`` codes of each row of bytes, uint8."""
    if bits == 8:
        return stored[..., :count]
    halves = np.stack([stored & np.uint8(15), stored >> np.uint8(4)], axis=-1)
    return halves.reshape(*stored.shape[:-1], -1)[..., :count]
