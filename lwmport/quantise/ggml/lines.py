"""Q4_K and Q5_K: 256 values in 144 or 176 bytes, a line for each 32 of them.

A value is d * scale * q - dmin * low, with 6 bits of scale and low and 4 or 5 bits of q. The search is that of ggml's
reference (``quantize_row_q4_K_ref``, ``quantize_row_q5_K_ref`` and ``make_qkx2_quants`` in ggml-quants.c), with its
float32 arithmetic in its order, so that the bytes are the same. Values lie as [32 of a group, groups]: a sum over the
first axis then adds one value after the other, as a loop over one group does, for all groups at once.
"""

from typing import Final, NamedTuple

import numpy as np

from lwmport.quantise.ggml.arithmetic import by_groups, half_bytes, levels, six_bits, summed
from lwmport.types import Array

VALUES: Final = 256
GROUP: Final = 32
GROUPS: Final = VALUES // GROUP


class Fit(NamedTuple):
    """One line for each group: value = ``scale * q + low``, where q is the level of ``(value - origin) * stretch``."""

    scale: Array
    low: Array
    origin: Array
    stretch: Array
    error: Array


class Levels(NamedTuple):
    """The highest level of a value, and over how many levels the values of a group are laid, one try each."""

    top: np.float32
    stretches: tuple[np.float32, ...]


def _levels(top: int, first: float, tries: int) -> Levels:
    step = np.float32(0.1)
    return Levels(
        np.float32(top), tuple(np.float32(first) + step * np.float32(i) + np.float32(top) for i in range(tries))
    )


FOUR_BITS: Final = _levels(15, -1.0, 21)
FIVE_BITS: Final = _levels(31, -0.5, 16)


def four_bits(blocks: Array, *, compiled: bool = False) -> Array:
    """Return blocks of values, float32 [blocks, 256], as bytes, uint8 [blocks, 144]: Q4_K.

    ``compiled`` is whether XLA makes the tries, in a program for as many blocks.
    """
    front, q = _found(blocks, FOUR_BITS, compiled=compiled)
    return np.concatenate([front, _nibbles(q)], axis=1)


def five_bits(blocks: Array, *, compiled: bool = False) -> Array:
    """Return blocks of values, float32 [blocks, 256], as bytes, uint8 [blocks, 176]: Q5_K.

    ``compiled`` is that of `four_bits`.
    """
    front, q = _found(blocks, FIVE_BITS, compiled=compiled)
    return np.concatenate([front, _fifth_bits(q), _nibbles(q & 15)], axis=1)


def _found(blocks: Array, levels_of: Levels, *, compiled: bool) -> tuple[Array, Array]:
    """Return the 16 bytes of each block that stand before its levels, and the levels [32, groups]."""
    x = by_groups(blocks, GROUP)
    with np.errstate(all="ignore"):  # a group of one value has no line; what is not used may be NaN
        fit = _Search(x, levels_of).best(compiled=compiled)
        d, scales = six_bits(fit.scale.reshape(-1, GROUPS))
        dmin, lows = six_bits(-fit.low.reshape(-1, GROUPS))
        q = _settled(x, fit, _times(d, scales), _times(dmin, lows), levels_of.top)
    return np.concatenate([half_bytes(d), half_bytes(dmin), _packed(scales, lows)], axis=1), q


class _Search:
    """Looks for the line of each group of ``x`` [32, groups] that misses the least, large values weighing more."""

    def __init__(self, x: Array, levels_of: Levels) -> None:
        self.x, self.top, self.stretches = x, levels_of.top, levels_of.stretches
        self.mean = np.sqrt(summed(x * x) / np.float32(GROUP))
        self.weights = self.mean + np.abs(x)
        self.whole, self.moment = summed(self.weights), summed(self.weights * x)
        self.q, self.spare, self.more = np.empty_like(x), np.empty_like(x), np.empty_like(x)

    def best(self, *, compiled: bool = False) -> Fit:
        """Return the best line of all tries."""
        top, low = self.x.max(axis=0), np.minimum(self.x.min(axis=0), np.float32(0))
        stretch = self.top / (top - low)
        scale = np.float32(1) / stretch
        levels(self.x, low, stretch, self.top, out=self.q)
        best = Fit(scale, low.copy(), low.copy(), stretch, self._error(scale, low))
        best = (self._compiled(best, top) if compiled else None) or self._tried(best, top)
        flat = top == low
        best.scale[flat], best.low[flat], best.stretch[flat] = 0, low[flat], 0
        return best

    def _compiled(self, best: Fit, top: Array) -> Fit | None:
        """Return the best line of all tries, made by XLA; None where the bits might not be numpy's."""
        from lwmport.quantise.ggml import compiled

        if not compiled.is_plain(self.x):
            return None
        weights = (self.mean, self.whole, self.moment, top)
        found = compiled.lines(self.x, weights, tuple(best), self.top, self.stretches)
        return Fit(*found) if found else None

    def _tried(self, best: Fit, top: Array) -> Fit:
        for wide in self.stretches:
            self._try(best, wide / (top - best.low))
        return best

    def _try(self, best: Fit, stretch: Array) -> None:
        """Put the line of least squares for other levels into ``best`` where it is nearer."""
        q, spare, whole, moment = self.q, self.spare, self.whole, self.moment
        levels(self.x, best.low, stretch, self.top, out=q)
        np.multiply(self.weights, q, out=spare)
        first, square = summed(spare), summed(np.multiply(spare, q, out=self.more))
        np.multiply(spare, self.x, out=spare)
        product = summed(spare)
        divisor = whole * square - first * first
        scale = (whole * product - moment * first) / divisor
        low = (square * moment - first * product) / divisor
        above = low > 0
        low[above] = 0
        np.divide(product, square, out=scale, where=above)
        error = self._error(scale, low)
        nearer = (divisor > 0) & (error < best.error)
        for held, found in zip(best, (scale, low, best.low.copy(), stretch, error), strict=True):
            np.copyto(held, found, where=nearer)

    def _error(self, scale: Array, low: Array) -> Array:
        """Return the weighted squares of what a line misses, for each group."""
        spare = self.spare
        np.multiply(self.q, scale, out=spare)
        np.add(spare, low, out=spare)
        np.subtract(spare, self.x, out=spare)
        np.multiply(spare, spare, out=spare)
        np.multiply(spare, self.weights, out=spare)
        return summed(spare)


def _settled(x: Array, fit: Fit, scale: Array, low: Array, top: np.float32) -> Array:
    """Return the levels [32, groups] for scales as they are stored; without one, those that were found first."""
    q = np.rint((x + low) / scale)
    np.clip(q, 0, top, out=q)
    none = scale == 0
    if none.any():
        q[:, none] = levels(x[:, none], fit.origin[none], fit.stretch[none], top)
    return q.astype(np.uint8)


def _times(d: Array, parts: Array) -> Array:
    """Return d [blocks] times the parts [blocks, 8] of each block, one behind the other."""
    made: Array = (d.astype(np.float32)[:, None] * parts.astype(np.float32)).reshape(-1)
    return made


def _packed(scales: Array, lows: Array) -> Array:
    """Return eight scales and eight lows of 6 bits [blocks, 8] as 12 bytes: four and four, then four of halves."""
    four, more = slice(0, 4), slice(4, 8)
    first = scales[:, four] | (scales[:, more] >> 4) << 6
    second = lows[:, four] | (lows[:, more] >> 4) << 6
    third = (scales[:, more] & 15) | (lows[:, more] & 15) << 4
    return np.concatenate([first, second, third], axis=1)


def _nibbles(q: Array) -> Array:
    """Return levels [32, groups] as nibbles [blocks, 128]: of two groups the first is the low one."""
    return np.ascontiguousarray((q[:, ::2] | q[:, 1::2] << 4).T).reshape(-1, VALUES // 2)


def _fifth_bits(q: Array) -> Array:
    """Return the fifth bit of levels [32, groups] as [blocks, 32]: a byte has that of one place of all eight groups."""
    bits = (np.ascontiguousarray(q.T).reshape(-1, GROUPS, GROUP) >> 4) << np.arange(GROUPS, dtype=np.uint8)[:, None]
    found: Array = np.bitwise_or.reduce(bits, axis=1)
    return found
