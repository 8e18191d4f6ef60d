"""The tries of `lines` and `q6_k`, compiled by XLA: a pass over the values for each sum, where numpy takes ten.

The bytes have to be those of numpy's float32, so two habits of XLA's on a processor are kept out of them.

- It rounds a product and the sum that takes it once (FMA). Each such product goes through `_pinned`: an exclusive or
  with a zero that is not known when the program is compiled.
- It takes numbers below 2**-126 for zero. None arises that counts where `is_plain` holds and the scale and low of a try
  are from `LEAST` up, which `lines` looks at. What a line misses is then a multiple of 2**-54, as such numbers are; its
  square is from 2**-108 up, and with a weight, which is from 2**-16 up, from 2**-124 up. Sums of weights times values
  are multiples of 2**-70, products of two sums from 2**-86 up, differences of those multiples of 2**-109. For Q6_K, a
  cube is from 2**-93 up; sums of cubes have one sign, and with that of the largest value are from 2**-36 up.

Rows are gone through one at a time in a loop: what is written out for several is not vectorised.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from lwmport.types import Array

LEAST: Final = np.float32(2.0**-31)
LARGEST: Final = np.float32(2.0**-13)

ZERO: Final = np.int32(0)


def is_plain(x: Array) -> bool:
    """Return whether values [values, groups] are zero or from `LEAST` up, and one of each group from `LARGEST` up."""
    size = np.abs(x)
    largest = size.max(axis=0)
    return bool(((largest == 0) | (largest >= LARGEST)).all() and ((size == 0) | (size >= LEAST)).all())


def lines(
    x: Array, weights: tuple[Array, ...], best: tuple[Array, ...], top: np.float32, stretches: tuple[np.float32, ...]
) -> tuple[Array, ...] | None:
    """Return the best lines of all tries; None where one is near zero.

    Args:
        x: float32 [values, groups].
        weights: of each group: what is added to a value's size, their sum, that of weight times value; the top value.
        best: the fields of `lines.Fit` so far.
        top: the highest level.
        stretches: over how many levels values are laid, one try each.
    """
    found, fine = _compiled(_line, top, stretches)(ZERO, x, weights, (best, np.ones(x.shape[1], bool)))
    return tuple(np.array(part) for part in found) if np.asarray(fine).all() else None


def units(
    x: Array, farthest: Array, best: tuple[Array, ...], ends: tuple[np.float32, np.float32], stretches: tuple[Any, ...]
) -> tuple[Array, ...]:
    """Return the best units of all tries.

    Args:
        x: float32 [values, groups].
        farthest: of each group, the value that is farthest from zero.
        best: the fields of `q6_k.Fit` so far.
        ends: the lowest level and the highest.
        stretches: the level of the farthest value, one try each.
    """
    found = _compiled(_unit, ends, stretches)(ZERO, x, farthest, best)
    return tuple(np.array(part) for part in found)


@cache
def _compiled(one: Callable[..., Any], ends: Any, stretches: tuple[np.float32, ...]) -> Callable[..., Any]:
    def tries(zero: Any, x: Any, groups: Any, best: Any) -> Any:
        each = jnp.asarray(np.array(stretches, np.float32))
        return lax.fori_loop(0, len(stretches), lambda i, held: one(zero, x, groups, held, each[i], ends), best)

    return jax.jit(tries)


def _line(zero: Any, x: Any, weights: Any, held: Any, wide: Any, top: np.float32) -> Any:
    """`lines._Search._try`."""
    (mean, whole, moment, high), (best, fine) = weights, held
    stretch = lax.optimization_barrier(wide / (high - best[1]))

    def row(i: Any) -> tuple[Any, Any, Any]:
        value = _row(x, i)
        return value, mean + jnp.abs(value), _level((value - best[1]) * stretch, np.float32(0), top)

    def sums(i: Any) -> tuple[Any, ...]:
        value, weight, q = row(i)
        weighted = weight * q
        return weighted, weighted * q, weighted * value

    def missed(i: Any) -> tuple[Any, ...]:
        value, weight, q = row(i)
        miss = _pinned(q * scale, zero) + low - value
        return (miss * miss * weight,)

    first, square, product = _summed(x, sums, 3, zero)
    divisor = _pinned(whole * square, zero) - _pinned(first * first, zero)
    scale = (_pinned(whole * product, zero) - _pinned(moment * first, zero)) / divisor
    low = (_pinned(square * moment, zero) - _pinned(first * product, zero)) / divisor
    scale = jnp.where(low > 0, product / square, scale)
    plain = (jnp.abs(scale) >= LEAST) & (jnp.abs(low) >= LEAST)
    scale, low = lax.optimization_barrier((scale, jnp.where(low > 0, np.float32(0), low)))
    (error,) = _summed(x, missed, 1, zero)
    counts = divisor > 0
    found = (scale, low, best[1], stretch, error)
    return _nearer(counts & (error < best[4]), found, best), fine & (plain | ~counts)


def _unit(zero: Any, x: Any, farthest: Any, best: Any, far: Any, ends: tuple[np.float32, np.float32]) -> Any:
    """One try of `q6_k._fit`."""
    stretch = lax.optimization_barrier(far / farthest)

    def sums(i: Any) -> tuple[Any, ...]:
        value = _row(x, i)
        q, weight = _level(value * stretch, *ends), value * value
        return weight * value * q, weight * q * q

    product, square = lax.optimization_barrier(_summed(x, sums, 2, zero))
    scale = product / square
    nearer = (square > 0) & (product * product > best[2] * square)
    return _nearer(nearer, (scale, stretch, scale * product), best)


def _pinned(product: Any, zero: Any) -> Any:
    """Return a product that is rounded before it is added to something."""
    return lax.bitcast_convert_type(lax.bitcast_convert_type(product, jnp.int32) ^ zero, jnp.float32)


def _summed(x: Any, terms: Callable[[Any], tuple[Any, ...]], count: int, zero: Any) -> tuple[Any, ...]:
    """Return the sums of the terms of each row, one added after the other; -0 changes no number it is added to."""

    def add(i: Any, found: Any) -> Any:
        return tuple(held + _pinned(term, zero) for held, term in zip(found, terms(i), strict=True))

    found: tuple[Any, ...] = lax.fori_loop(0, x.shape[0], add, (jnp.full_like(x[0], -0.0),) * count)
    return found


def _row(x: Any, i: Any) -> Any:
    return lax.dynamic_slice(x, (i, 0), (1, x.shape[1]))[0]


def _level(value: Any, low: np.float32, top: np.float32) -> Any:
    """Return the nearest level, of two the even one; NaN stays NaN, as in numpy."""
    q = lax.round(value, lax.RoundingMethod.TO_NEAREST_EVEN)
    q = jnp.where(q < low, low, q)
    return jnp.where(q > top, top, q)


def _nearer(nearer: Any, found: tuple[Any, ...], best: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(jnp.where(nearer, new, old) for new, old in zip(found, best, strict=True))
