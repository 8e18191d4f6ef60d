"""Q6_K: 256 values in 210 bytes. A value is d * scale * (q - 32), with 8 bits of scale for each 16 and 6 bits of q.

The search is that of ggml's reference (``quantize_row_q6_K_ref`` and ``make_qx_quants`` in ggml-quants.c), with its
float32 arithmetic in its order, so that the bytes are the same. Values lie as [16 of a group, groups].
"""

from typing import Final, NamedTuple

import numpy as np

from lwmport.quantise.ggml.arithmetic import by_groups, half_bytes, summed
from lwmport.types import Array

VALUES: Final = 256
GROUP: Final = 16
GROUPS: Final = VALUES // GROUP
LOW, TOP = np.float32(-32), np.float32(31)
"""The ends of a level, before 32 is added to it."""

NOTHING: Final = np.float32(1e-15)
"""What is below counts as zero."""

STRETCHES: Final = tuple(-(np.float32(32) + np.float32(0.1) * np.float32(i)) for i in range(-9, 10) if i)
"""On which level the value that is farthest from zero is laid, one try each."""


class Fit(NamedTuple):
    """One unit for each group: value = ``scale * q``, where q is the level of ``value * stretch``."""

    scale: Array
    stretch: Array
    gain: Array


def quantised(blocks: Array, *, compiled: bool = False) -> Array:
    """Return blocks of values, float32 [blocks, 256], as bytes, uint8 [blocks, 210].

    ``compiled`` is whether XLA makes the tries, in a program for as many blocks.
    """
    x = by_groups(blocks, GROUP)
    with np.errstate(all="ignore"):  # of a group of zeros nothing is used
        fit = _fit(x, compiled=compiled)
        d, scales = _eight_bits(fit.scale.reshape(-1, GROUPS))
        unit = (d.astype(np.float32)[:, None] * scales.astype(np.float32)).reshape(-1)
        low, high = _packed(_settled(x, fit, unit))
    made = np.concatenate([low, high, scales.view(np.uint8), half_bytes(d)], axis=1)
    made[np.abs(_farthest(fit.scale.reshape(-1, GROUPS))) < NOTHING] = 0
    return made


def _fit(x: Array, *, compiled: bool) -> Fit:
    """Return the best unit of all tries for each group of ``x`` [16, groups]."""
    farthest = _farthest(x.T)
    weights = x * x
    pulled, spare, q = weights * x, np.empty_like(x), np.empty_like(x)
    stretch = LOW / farthest
    product, square = _sums(x, pulled, weights, stretch, q, spare)
    scale = np.where(square != 0, product / square, np.float32(0))
    best = Fit(scale, stretch, scale * product)
    found = _compiled(x, farthest, best) if compiled else None
    if found is None:
        for far in STRETCHES:
            _try(best, far / farthest, *_sums(x, pulled, weights, far / farthest, q, spare))
    found = found or best
    nothing = np.abs(farthest) < NOTHING
    found.scale[nothing] = 0
    return found


def _compiled(x: Array, farthest: Array, best: Fit) -> Fit | None:
    """Return the best unit of all tries, made by XLA; None where the bits might not be numpy's."""
    from lwmport.quantise.ggml import compiled

    return Fit(*compiled.units(x, farthest, tuple(best), (LOW, TOP), STRETCHES)) if compiled.is_plain(x) else None


def _try(best: Fit, stretch: Array, product: Array, square: Array) -> None:
    """Put what the sums of a try give into ``best`` where it is nearer."""
    nearer = (square > 0) & (product * product > best.gain * square)
    scale = product / square
    for held, found in zip(best, (scale, stretch, scale * product), strict=True):
        np.copyto(held, found, where=nearer)


def _sums(x: Array, pulled: Array, weights: Array, stretch: Array, q: Array, spare: Array) -> tuple[Array, Array]:
    """Return the sums of ``weights * x * q`` and of ``weights * q * q`` of each group."""
    _levels(x, stretch, out=q)
    np.multiply(pulled, q, out=spare)
    product = summed(spare)
    np.multiply(weights, q, out=spare)
    np.multiply(spare, q, out=spare)
    return product, summed(spare)


def _levels(x: Array, stretch: Array, out: Array | None = None) -> Array:
    q: Array = np.multiply(x, stretch, out=out)
    np.rint(q, out=q)
    return np.clip(q, LOW, TOP, out=q)


def _farthest(rows: Array) -> Array:
    """Return the value of each row that is farthest from zero, the first of several."""
    found: Array = np.take_along_axis(rows, np.abs(rows).argmax(axis=1)[:, None], axis=1)[:, 0]
    return found


def _eight_bits(parts: Array) -> tuple[Array, Array]:
    """Return the unit of each block, float16 [blocks], and its parts [blocks, 16] in units of it, int8."""
    inverse = np.float32(-128) / _farthest(parts)
    found = np.minimum(np.rint(inverse[:, None] * parts), np.float32(127))
    return (np.float32(1) / inverse).astype(np.float16), found.astype(np.int32).astype(np.int8)


def _settled(x: Array, fit: Fit, unit: Array) -> Array:
    """Return the levels [16, groups], 0 to 63, for scales as they are stored; without one, those found first."""
    q = np.rint(x / unit)
    np.clip(q, LOW, TOP, out=q)
    none = unit == 0
    if none.any():
        q[:, none] = _levels(x[:, none], fit.stretch[none])
        q[:, none & (fit.scale == 0)] = LOW
    return (q + np.float32(32)).astype(np.uint8)


def _packed(q: Array) -> tuple[Array, Array]:
    """Return the low four bits of levels [16, groups] [blocks, 128], and their high two [blocks, 64].

    Of 128 values, a byte of low bits holds values 64 apart, one of high bits four that are 32 apart.
    """
    parts = np.ascontiguousarray(q.T).reshape(-1, 2, 4, 32)
    low = (parts[:, :, :2] & 15) | (parts[:, :, 2:] & 15) << 4
    two = parts >> 4
    high = two[:, :, 0] | two[:, :, 1] << 2 | two[:, :, 2] << 4 | two[:, :, 3] << 6
    return low.reshape(-1, VALUES // 2), high.reshape(-1, VALUES // 4)
