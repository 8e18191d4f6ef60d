"""Layers of vision transformers and of what reads them, in flax.linen. States are [batch, tokens, channels].

Norms and softmaxes are computed in float32 whatever the precision; all else is in that of the weights.
"""

from collections.abc import Callable, Mapping
from typing import Final

import jax
import jax.numpy as jnp
from flax import linen as nn

from lwmport.models.composites import basic as composites
from lwmport.models.composites import transformer as transformer_composites


class LayerNorm(nn.Module):
    """Layer normalisation of the channels, marked as a composite."""

    epsilon: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return an array of the shape of x."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        return transformer_composites.layer_norm(x, scale, bias, epsilon=self.epsilon)


class FeedForward(nn.Module):
    """fc2(activation(fc1 x)) (Vaswani et al., arXiv:1706.03762)."""

    width: int
    activation: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return an array of the shape of x."""
        wide = ACTIVATIONS[self.activation](nn.Dense(self.width, name="fc1")(x))
        return nn.Dense(x.shape[-1], name="fc2")(wide)


def patches(x: jax.Array, *, width: int, size: int, name: str, use_bias: bool = True) -> jax.Array:
    """Return patches [b, (h / size) * (w / size), width] of pictures x [b, h, w, c], row by row.

    It is for the body of a flax module, whose convolution is called ``name``.
    """
    window = (size, size)
    found = nn.Conv(width, window, strides=window, padding="VALID", use_bias=use_bias, name=name)(x)
    return found.reshape(x.shape[0], -1, width)


def attention(query: jax.Array, key: jax.Array, value: jax.Array, *, heads: int) -> jax.Array:
    """Return the attention [b, q, c] of queries [b, q, c] over keys and values [b, k, c], the softmax in float32.

    Queries are scaled before the product, as EVA has it: so no score of float16 is larger than it need be.
    """
    size = query.shape[-1] // heads
    query, key, value = (_split(part, heads) for part in (query * size**-0.5, key, value))
    scores = jnp.einsum("bhqd,bhkd->bhqk", query, key)
    shares = composites.softmax(scores.astype(jnp.float32)).astype(value.dtype)
    found = jnp.einsum("bhqk,bhkd->bhqd", shares, value)
    return jnp.moveaxis(found, 1, 2).reshape(found.shape[0], -1, heads * size)


def quick_gelu(x: jax.Array) -> jax.Array:
    """Return x * sigmoid(1.702 x), the GELU of CLIP."""
    return x * jax.lax.logistic(1.702 * x)


ACTIVATIONS: Final[Mapping[str, Callable[[jax.Array], jax.Array]]] = {
    "gelu": transformer_composites.gelu,
    "quick_gelu": quick_gelu,
}
"""What a configuration may call an activation (`lwmport.models.llava.config.ACTIVATIONS`) -> it."""


def _split(x: jax.Array, heads: int) -> jax.Array:
    """Return x [b, n, c] as [b, heads, n, c / heads]."""
    return jnp.moveaxis(x.reshape(*x.shape[:-1], heads, -1), 2, 1)
