"""Rotary angles, right at any position: two small float64-made tables and one addition theorem.

A position p is 1024 h + l. The rotation by p is the rotation by 1024 h after the rotation by l, so two tables with a
row for every h and every l replace one with a row for every p: 1 MiB instead of 512 MiB for a million positions. Each
entry is computed in float64 and rounded to float32 once, so a cosine is off by 1e-7 at most, wherever it stands. LWM
itself rounds the angle: in float32 it is off by 0.06 at position 1,048,575, in bfloat16 by whole radians.
"""

from functools import cache
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from lwmport.models.layers import rows
from lwmport.types import Array

PERIOD: Final = 1024
"""Positions that one row of the coarse table stands for."""


def frequencies(head_dim: int, theta: float) -> Array:
    """Return the float64 radians per position of each pair [head_dim / 2]: theta^(-2 i / head_dim).

    Source: Su et al., "RoFormer", arXiv:2104.09864, equation 15.
    """
    exponents = np.arange(0, head_dim, 2, dtype=np.float64) / head_dim
    return np.float64(theta) ** -exponents


def rotary_angles(position_ids: jax.Array, *, head_dim: int, theta: float, length: int) -> tuple[jax.Array, jax.Array]:
    """Return (cosines, sines), float32 [..., head_dim / 2] each, of integer positions [...] from 0 below ``length``.

    Quotient and rest take one division, for Zhouyi's remainder knows no 32 bits: Compass narrows it to 8, which loses
    every position from 128 on.
    """
    position_ids = jnp.asarray(position_ids, jnp.int32)
    coarse, fine = _tables(head_dim, float(theta), length)
    high = jax.lax.div(position_ids, jnp.full_like(position_ids, PERIOD))
    cos_high, sin_high = _halves(rows(jnp.asarray(coarse), high))
    cos_low, sin_low = _halves(rows(jnp.asarray(fine), position_ids - high * PERIOD))
    return cos_high * cos_low - sin_high * sin_low, sin_high * cos_low + cos_high * sin_low


def rotate_pairs(x: jax.Array, cos: jax.Array, sin: jax.Array) -> jax.Array:
    """Return x [..., d] with every pair (2 i, 2 i + 1) turned by its angle; cos and sin [..., d / 2] broadcast.

    LWM's convention: a pair is one complex number, here in real arithmetic, float32 inside whatever x is.
    """
    pairs = x.astype(jnp.float32).reshape(*x.shape[:-1], x.shape[-1] // 2, 2)
    real, imaginary = pairs[..., 0], pairs[..., 1]
    turned = jnp.stack((real * cos - imaginary * sin, real * sin + imaginary * cos), axis=-1)
    return turned.reshape(x.shape).astype(x.dtype)


@cache
def _tables(head_dim: int, theta: float, length: int) -> tuple[Array, Array]:
    """Return float32 [rows, head_dim]: cosines and then sines of each 1024th position, and of each of the first."""
    coarse = np.arange(-(-length // PERIOD), dtype=np.float64) * PERIOD
    return _table(coarse, head_dim, theta), _table(np.arange(PERIOD, dtype=np.float64), head_dim, theta)


def _table(positions: Array, head_dim: int, theta: float) -> Array:
    angles = np.outer(positions, frequencies(head_dim, theta))
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def _halves(table: Any) -> tuple[Any, Any]:
    half = table.shape[-1] // 2
    return table[..., :half], table[..., half:]
