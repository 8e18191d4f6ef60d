"""Composites of the language models: what backends have a name for, each with the decomposition that defines it.

Names and attributes are the contract with `lwmport.converters`, as in
`lwmport.models.composites.basic`; silu is shared.
"""

from typing import Any, Final

import jax
import jax.numpy as jnp

from lwmport.models.attention.blocks import AttentionPlan, products, weighted
from lwmport.models.attention.causal import as_float32, causal_attention, scaled
from lwmport.models.composites.basic import softmax
from lwmport.models.llama.rotary import rotate_pairs

RMS_NORM: Final = "lwmport.rms_norm"
ROTARY_EMBEDDING: Final = "lwmport.rotary_embedding"
CAUSAL_ATTENTION: Final = "lwmport.causal_attention"
CACHE_UPDATE: Final = "lwmport.cache_update"
MASKED_ATTENTION: Final = "lwmport.masked_attention"


def rms_norm(x: jax.Array, scale: jax.Array, *, epsilon: float) -> jax.Array:
    """Return x [..., c] over the root of its mean square, computed in float32, times scale [c].

    The rounding to x's dtype comes before the scale, as in LWM. Source: Zhang and Sennrich, arXiv:1910.07467.
    """

    def decomposition(x: jax.Array, scale: jax.Array, *, epsilon: float) -> jax.Array:
        wide = x.astype(jnp.float32)
        mean = jnp.mean(wide * wide, axis=-1, keepdims=True)
        return (wide * jax.lax.rsqrt(mean + epsilon)).astype(x.dtype) * scale

    return _composite(decomposition, RMS_NORM)(x, scale, epsilon=epsilon)


def rotary_embedding(x: jax.Array, cos: jax.Array, sin: jax.Array) -> jax.Array:
    """Return x [b, h, s, d] with its pairs (2 i, 2 i + 1) turned by angles given as cos and sin [b, s, d / 2]."""

    def decomposition(x: jax.Array, cos: jax.Array, sin: jax.Array, *, interleaved: int) -> jax.Array:
        del interleaved  # told to converters: LWM turns neighbours, Hugging Face's LLaMA turns halves
        return rotate_pairs(x, cos[:, None], sin[:, None])

    return _composite(decomposition, ROTARY_EMBEDDING)(x, cos, sin, interleaved=1)


def cached_attention(
    heads: tuple[jax.Array, jax.Array, jax.Array],
    past: tuple[jax.Array, jax.Array],
    mask: jax.Array,
    plan: AttentionPlan,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return (attention [b, h, s, d], keys and values [b, n, p + s, d] with the new ones behind those of the past).

    Args:
        heads: rotated queries [b, h, s, d], rotated keys and values [b, n, s, d], n a divisor of h.
        past: keys and values of the p tokens before, [b, n, p, d]; p may be 0.
        mask: integers [b, p + s], 0 where a token is padding.
        plan: how the decomposition computes it; a backend's own operator decides for itself.
    """

    def decomposition(  # noqa: PLR0913  # the operands and attributes are the contract
        query: Any, key: Any, value: Any, past_key: Any, past_value: Any, mask: Any, *, scale: float, **plan: Any
    ) -> tuple[Any, Any, Any]:
        del scale  # told to converters: it is one over the root of head_dim
        keys = jnp.concatenate([past_key, key], axis=2)
        values = jnp.concatenate([past_value, value], axis=2)
        return causal_attention(query, keys, values, mask, AttentionPlan(**plan)), keys, values

    attributes = {
        "scale": heads[0].shape[-1] ** -0.5,
        "form": plan.form,
        "query_chunk": plan.query_chunk,
        "key_chunk": plan.key_chunk,
        "ring": plan.ring,
    }
    return _composite(decomposition, CAUSAL_ATTENTION)(*heads, *past, mask, **attributes)


def cache_update(cache: jax.Array, new: jax.Array, position: jax.Array) -> jax.Array:
    """Return a cache [b, h, slots, d] with new heads [b, h, s, d] in the slots from ``position`` (int32 []) on."""

    def decomposition(cache: jax.Array, new: jax.Array, position: jax.Array) -> jax.Array:
        zero = jnp.zeros((), position.dtype)
        starts = (zero, zero, position, zero)
        return jax.lax.dynamic_update_slice(cache, new, starts, allow_negative_indices=False)

    return _composite(decomposition, CACHE_UPDATE)(cache, new.astype(cache.dtype), position)


def masked_attention(query: jax.Array, keys: jax.Array, values: jax.Array, bias: jax.Array) -> jax.Array:
    """Return the attention [b, h, s, d] of rotated queries over all keys and values [b, n, t, d], in float32 inside.

    n divides h. ``bias`` float32 [b, 1, s or 1, t] is added to the scores: 0, or a low number for a key that may not be
    seen.
    """

    def decomposition(query: Any, keys: Any, values: Any, bias: Any, *, scale: float) -> jax.Array:
        del scale  # told to converters: it is one over the root of head_dim
        scores = products(scaled(query), as_float32(keys)) + bias
        return weighted(softmax(scores), as_float32(values)).astype(query.dtype)

    return _composite(decomposition, MASKED_ATTENTION)(query, keys, values, bias, scale=query.shape[-1] ** -0.5)


def _composite(decomposition: Any, name: str) -> Any:
    return jax.lax.composite(decomposition, name=name, version=1)
