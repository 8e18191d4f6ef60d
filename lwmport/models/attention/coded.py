"""Keys and values in a cache that is narrower than what is computed with: float16, or codes of 8 bits with scales.

New tokens are rounded before anybody attends to them, so that it makes no difference in how many runs a prompt goes in.
"""

from typing import Any, Final, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

LEAST: Final = -128
MOST: Final = 127
"""The ends of the codes, which ONNX Runtime's GroupQueryAttention goes to (seen on its outputs, 1.31)."""


class Coded(NamedTuple):
    """Codes int8 [b, heads, tokens, head_dim] of values, and float32 scales [1, heads, 1, head_dim] of the channels."""

    codes: Any
    scale: Any

    @property
    def shape(self) -> tuple[Any, ...]:
        """That of the codes."""
        return tuple(self.codes.shape)


Held: TypeAlias = "jax.Array | Coded"
"""Keys or values of one layer, as the cache has them."""


def appended(held: Held, new: jax.Array) -> jax.Array:
    """Return what the cache holds of new tokens [b, heads, s, head_dim] too, behind what is held."""
    if isinstance(held, Coded):
        return jnp.concatenate([held.codes, encoded(new, held.scale)], axis=2)
    return jnp.concatenate([held, new.astype(held.dtype)], axis=2)


def encoded(values: jax.Array, scale: Any) -> jax.Array:
    """Return the nearest codes, ties to even. The product with one over the scale is that of ONNX Runtime."""
    factor = 1 / scale
    nearest = jax.lax.round(values * factor, jax.lax.RoundingMethod.TO_NEAREST_EVEN)
    return jnp.minimum(jnp.maximum(nearest, LEAST), MOST).astype(jnp.int8)


def decoded(codes: jax.Array, scale: Any) -> jax.Array:
    """Return the float32 values that codes stand for."""
    return codes.astype(jnp.float32) * scale
