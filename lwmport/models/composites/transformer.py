"""Composites of transformers that read pictures: layer normalisation and the exact GELU, with their decompositions."""

from math import sqrt
from typing import Any

import jax
import jax.numpy as jnp

LAYER_NORM = "lwmport.layer_norm"
GELU = "lwmport.gelu"


def layer_norm(x: jax.Array, scale: jax.Array, bias: jax.Array, *, epsilon: float) -> jax.Array:
    """Return x [..., c] normalised over its last axis, times scale [c], plus bias [c].

    The variance is the mean of (x - mean)^2, computed in float32, as torch's ``LayerNorm`` has it.
    """

    def decomposition(x: jax.Array, scale: jax.Array, bias: jax.Array, *, epsilon: float) -> jax.Array:
        wide = x.astype(jnp.float32)
        centred = wide - jnp.mean(wide, axis=-1, keepdims=True)
        variance = jnp.mean(centred * centred, axis=-1, keepdims=True)
        normal = centred * jax.lax.rsqrt(variance + epsilon)
        return (normal * scale.astype(jnp.float32) + bias.astype(jnp.float32)).astype(x.dtype)

    return _composite(decomposition, LAYER_NORM)(x, scale, bias, epsilon=epsilon)


def gelu(x: jax.Array) -> jax.Array:
    """Return x * Phi(x), Phi being the normal distribution: the exact GELU, with erf and without a tanh."""
    return _composite(lambda x: 0.5 * x * (1.0 + jax.lax.erf(x * (1.0 / sqrt(2.0)))), GELU)(x)


def _composite(decomposition: Any, name: str) -> Any:
    return jax.lax.composite(decomposition, name=name, version=1)
