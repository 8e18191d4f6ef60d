"""The layers of LWM's language models in flax.linen, with LWM's parameter names.

Facts of the architecture are from LWM's published model; layout inside a layer is [batch, heads, tokens, head_dim].
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.sharding import Mesh

from lwmport.models.attention.blocks import AttentionPlan
from lwmport.models.attention.causal import causal_attention
from lwmport.models.attention.coded import Held
from lwmport.models.attention.ring import ring_attention
from lwmport.models.composites import basic as composites
from lwmport.models.composites import language as llama_composites
from lwmport.models.llama.config import LlamaConfig

Cache = tuple[Held, Held]
"""Rotated keys and values of one layer, [b, heads, past, head_dim] each; heads of keys, which queries may share."""


class Context(NamedTuple):
    """What every layer is told: angles [b, s, d / 2], mask [b, past + s], segments [b, past + s] or None.

    ``attend(heads, past)`` returns (attention, cache) in the place of all else, and then needs no mask.
    """

    cos: jax.Array
    sin: jax.Array
    mask: Any
    segments: Any = None
    attend: Any = None


class Setting(NamedTuple):
    """How a model is computed, which changes no value: the plan of its attention, its dtype, and a mesh for a ring.

    A dtype of None is that of the parameters themselves.
    """

    plan: AttentionPlan
    dtype: Any = jnp.float32
    mesh: Mesh | None = None


class Kernel(nn.Module):
    """The matrix [inputs, outputs] of a linear map without bias, or the rows of a table."""

    shape: tuple[int, ...]
    deviation: float
    dtype: Any
    label: str = "kernel"

    @nn.compact
    def __call__(self) -> jax.Array:
        """Return the parameter in the dtype of the computation."""
        return _as(self.param(self.label, nn.initializers.normal(self.deviation), self.shape), self.dtype)


class RMSNorm(nn.Module):
    """Root mean square normalisation in float32, marked as a composite."""

    epsilon: float
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return an array of the shape of x."""
        scale = self.param("kernel", nn.initializers.ones, (x.shape[-1],))
        return llama_composites.rms_norm(x, _as(scale, self.dtype), epsilon=self.epsilon)


class Attention(nn.Module):
    """Causal self-attention with rotary positions and a cache."""

    config: LlamaConfig
    setting: Setting

    @nn.compact
    def __call__(self, x: jax.Array, context: Context, past: Cache | None) -> tuple[jax.Array, Cache]:
        """Return (x attended [b, s, hidden], keys and values of all tokens so far)."""
        config = self.config
        own, shared = config.num_attention_heads, config.kv_heads
        parts = (("wq", own), ("wk", shared), ("wv", shared))
        query, key, value = (self._heads(x @ self._kernel(name, count)(), count) for name, count in parts)
        query, key = (llama_composites.rotary_embedding(part, context.cos, context.sin) for part in (query, key))
        found, present = self._attend((query, key, value), context, past)
        return jnp.moveaxis(found, 1, 2).reshape(x.shape) @ self._kernel("wo", own)(), present

    def _attend(self, heads: Any, context: Context, past: Cache | None) -> tuple[jax.Array, Cache]:
        """Return attention and cache: as the context says, by a ring, with segments, or as the composite."""
        if context.attend is not None:
            found, cache = context.attend(heads, past)
            return found, cache
        _, key, value = heads
        if self.setting.mesh is not None and past is None:
            found = ring_attention(heads, context.mask, self.setting.plan, self.setting.mesh, context.segments)
            return found, (key, value)
        held = past or (key[:, :, :0], value[:, :, :0])
        if context.segments is None:
            found, *present = llama_composites.cached_attention(heads, held, context.mask, self.setting.plan)
            return found, (present[0], present[1])
        keys, values = (jnp.concatenate(pair, axis=2) for pair in zip(held, heads[1:], strict=True))
        found = causal_attention(heads[0], keys, values, context.mask, self.setting.plan, context.segments)
        return found, (keys, values)

    def _heads(self, x: jax.Array, count: int) -> jax.Array:
        split = x.reshape(*x.shape[:2], count, self.config.head_dim)
        return jnp.moveaxis(split, 2, 1)

    def _kernel(self, name: str, heads: int) -> Kernel:
        """Return the matrix from the states to so many heads; that back from all heads is as wide."""
        size, deviation = self.config.hidden_size, self.config.initializer_range
        return Kernel((size, heads * self.config.head_dim), deviation, self.setting.dtype, name=name)


class FeedForward(nn.Module):
    """w2(silu(w1 x) * w3 x), of all tokens or of a chunk at a time (Shazeer, arXiv:2002.05202: SwiGLU)."""

    config: LlamaConfig
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return an array of the shape of x."""
        outer, inner, deviation = self.config.hidden_size, self.config.intermediate_size, self.config.initializer_range
        w1, w3 = (Kernel((outer, inner), deviation, self.dtype, name=name)() for name in ("w1", "w3"))
        w2 = Kernel((inner, outer), deviation, self.dtype, name="w2")()

        def forward(x: jax.Array) -> jax.Array:
            return (composites.silu(x @ w1) * (x @ w3)) @ w2

        chunk, length = self.config.scan_mlp_chunk_size, x.shape[1]
        if not self.config.scan_mlp or not isinstance(length, int) or length <= chunk:
            return forward(x)
        chunks = jnp.pad(x, ((0, 0), (0, -length % chunk), (0, 0))).reshape(x.shape[0], -1, chunk, outer)
        found = jax.lax.map(forward, jnp.moveaxis(chunks, 1, 0))
        return jnp.moveaxis(found, 0, 1).reshape(x.shape[0], -1, outer)[:, :length]


class Block(nn.Module):
    """One layer: attention and then the feed-forward network, each on normalised values beside a shortcut."""

    config: LlamaConfig
    setting: Setting

    @nn.compact
    def __call__(self, x: jax.Array, context: Context, past: Cache | None) -> tuple[jax.Array, Cache]:
        """Return (x after the layer [b, s, hidden], keys and values of all tokens so far)."""
        epsilon, dtype = self.config.rms_norm_eps, self.setting.dtype
        normed = RMSNorm(epsilon, dtype, name="attention_norm")(x)
        attended, present = Attention(self.config, self.setting, name="attention")(normed, context, past)
        x = x + attended
        normed = RMSNorm(epsilon, dtype, name="ffn_norm")(x)
        return x + FeedForward(self.config, dtype, name="feed_forward")(normed), present


def _as(parameter: jax.Array, dtype: Any) -> jax.Array:
    """Return a parameter in the dtype of the computation, or as it is where that is None."""
    return parameter if dtype is None else parameter.astype(dtype)
