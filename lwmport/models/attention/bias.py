"""Masks as numbers that are added to scores: what readers without truth values, or with float16 inside, take best."""

from functools import lru_cache
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from lwmport.types import Array

HIDDEN: Final = -30000.0
"""Added to the score of a key that a query may not see. Its exponential is 0 beside any key that may be seen, and the
sum of it and a score is finite even in float16, whose lowest number is -65504."""


def padding_bias(attention_mask: jax.Array) -> jax.Array:
    """Return float32 [b, t] of a mask of ones and zeros [b, t]: 0 for a token, `HIDDEN` for padding."""
    return (attention_mask.astype(jnp.float32) - 1.0) * -HIDDEN


def prefill_bias(attention_mask: jax.Array) -> jax.Array:
    """Return float32 [b, 1, s, s] of a mask [b, s]: `HIDDEN` where a key is padding or comes after the query."""
    length = attention_mask.shape[1]
    return jnp.minimum(padding_bias(attention_mask)[:, None, None, :], triangle_bias(length, length, 0))


def decode_bias(attention_mask: jax.Array, position: jax.Array, queries: int) -> jax.Array:
    """Return float32 [b, 1, queries or 1, slots] of a mask [b, slots] and the int32 slot [] of the first query."""
    padding = padding_bias(attention_mask)[:, None, None, :]
    if queries == 1:
        return padding  # no slot behind the one query holds a token
    return jnp.minimum(padding, later_bias(queries, attention_mask.shape[1], position))


def later_bias(rows: int, columns: int, ahead: Any) -> Any:
    """Return `triangle_bias`, computed when the program runs if ``ahead`` is an int32 [] of the program."""
    if isinstance(ahead, int):
        return triangle_bias(rows, columns, ahead)
    places = ahead.astype(jnp.float32) + np.arange(rows, dtype=np.float32)  # exact up to 2^24 tokens
    behind = np.arange(columns, dtype=np.float32)[None, :] - places[:, None]
    return (jnp.clip(behind, 0.0, 1.0) * HIDDEN)[None, None]


@lru_cache(maxsize=64)
def triangle_bias(rows: int, columns: int, ahead: int) -> Array:
    """Return float32 [1, 1, rows, columns]: `HIDDEN` where a key comes after a query; query 0 is key ``ahead``.

    One array for equal arguments, so that programs share it.
    """
    later = np.arange(rows)[:, None] + ahead < np.arange(columns)
    return np.where(later, np.float32(HIDDEN), np.float32(0))[None, None]


def is_bias(mask: Any) -> bool:
    """Return whether a mask is made of numbers to add, rather than of truth values."""
    return mask is not None and bool(jnp.issubdtype(mask.dtype, jnp.floating))
