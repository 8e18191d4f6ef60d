"""Values rounded to 256 numbers, as a composite: QuantizeLinear and DequantizeLinear of formats that have them."""

from typing import Final

import jax
import jax.numpy as jnp

from lwmport.types import Levels

ROUNDED: Final = "lwmport.rounded"
FIRST: Final = -128
LAST: Final = 127
"""The codes at both ends."""


def rounded(x: jax.Array, levels: Levels) -> jax.Array:
    """Return the nearest of the numbers for each value: ties to the even code, what lies outside to the last one."""

    def decomposition(x: jax.Array, *, scale: float, zero: int) -> jax.Array:
        codes = jnp.clip(jnp.round(x / jnp.float32(scale)) + zero, FIRST, LAST)
        return (codes - zero) * jnp.float32(scale)

    found: jax.Array = jax.lax.composite(decomposition, name=ROUNDED, version=1)(
        x, scale=levels.scale, zero=levels.zero
    )
    return found
