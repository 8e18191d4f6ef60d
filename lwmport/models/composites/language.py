"""Composites of the language models: what backends have a name for, each with the decomposition that defines it.

Names and attributes are the contract with `lwmport.converters`, as in
`lwmport.models.composites.basic`; silu is shared.
"""

from collections.abc import Sequence
from typing import Any, Final

import jax
import jax.numpy as jnp

from lwmport.models.attention.blocks import AttentionPlan, products, weighted
from lwmport.models.attention.causal import as_float32, causal_attention, scaled
from lwmport.models.attention.coded import Coded, Held, appended, decoded
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
    past: tuple[Held, Held],
    mask: jax.Array,
    plan: AttentionPlan,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return (attention [b, h, s, d], keys and values [b, n, p + s, d] with the new ones behind those of the past).

    Args:
        heads: rotated queries [b, h, s, d], rotated keys and values [b, n, s, d], n a divisor of h.
        past: keys and values of the p tokens before, [b, n, p, d]; p may be 0. They may be narrower than the heads.
        mask: integers [b, p + s], 0 where a token is padding.
        plan: how the decomposition computes it; a backend's own operator decides for itself.
    """

    def decomposition(*operands: Any, scale: float, **plan: Any) -> tuple[Any, Any, Any]:
        del scale  # told to converters: it is one over the root of head_dim
        return attended(operands, AttentionPlan(**plan))

    attributes = {
        "scale": heads[0].shape[-1] ** -0.5,
        "form": plan.form,
        "query_chunk": plan.query_chunk,
        "key_chunk": plan.key_chunk,
        "ring": plan.ring,
    }
    scales = [one.scale for one in past if isinstance(one, Coded)]
    held = [one.codes if isinstance(one, Coded) else one for one in past]
    return _composite(decomposition, CAUSAL_ATTENTION)(*scales, *heads, *held, mask, **attributes)


def attended(operands: Sequence[Any], plan: AttentionPlan) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return what `cached_attention` does for the operands of its composite.

    They are the scales of keys and values where these are codes; queries, keys, values, past keys, past values, mask.
    """
    *scales, query, key, value, past_key, past_value, mask = operands
    held = [Coded(*pair) for pair in zip((past_key, past_value), scales, strict=True)] if scales else operands[-3:-1]
    present = [appended(before, new) for before, new in zip(held, (key, value), strict=True)]
    keys, values = (decoded(*pair) for pair in zip(present, scales, strict=True)) if scales else present
    return causal_attention(query, keys, values, mask, plan), present[0], present[1]


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
