"""LWM's text model in flax.linen. Prefill and decoding are one function: a cache in, a longer cache out."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from lwmport.errors import UsageError
from lwmport.models.attention.blocks import AttentionPlan
from lwmport.models.attention.causal import plan_for, positions
from lwmport.models.attention.ring import device_mesh
from lwmport.models.layers import rows
from lwmport.models.llama.config import LlamaConfig
from lwmport.models.llama.layers import Block, Cache, Context, Kernel, RMSNorm, Setting
from lwmport.models.llama.rotary import rotary_angles

Caches = Sequence[Cache]
"""Keys and values [b, heads, past, head_dim] of each layer; as arguments they may be None for no past."""


class Layers(nn.Module):
    """All layers: one after the other, or one scanned over parameters that are stacked on an axis."""

    config: LlamaConfig
    setting: Setting

    @nn.compact
    def __call__(self, x: jax.Array, context: Context, past: Caches | None) -> tuple[jax.Array, tuple[Cache, ...]]:
        """Return (x after the last layer [b, s, hidden], the cache of each layer)."""
        if self.config.scan_layers:
            return self._scanned(x, context, past)
        present = []
        for layer in range(self.config.num_hidden_layers):
            block = Block(self.config, self.setting, name=str(layer))
            x, cache = block(x, context, None if past is None else past[layer])
            present.append(cache)
        return x, tuple(present)

    def _scanned(self, x: jax.Array, context: Context, past: Caches | None) -> tuple[jax.Array, tuple[Cache, ...]]:
        count = self.config.num_hidden_layers
        scanned = nn.scan(
            Block,
            variable_axes={"params": self.config.param_scan_axis},
            split_rngs={"params": True},
            in_axes=(nn.broadcast, 0),
            length=count,
        )(self.config, self.setting, name="scan_decoder")
        stacked = None if past is None else jax.tree.map(lambda *layers: jnp.stack(layers), *past)
        x, (keys, values) = scanned(x, context, stacked)
        return x, tuple((keys[layer], values[layer]) for layer in range(count))


class Transformer(nn.Module):
    """Tables, layers and the last normalisation. The heads look at its output."""

    config: LlamaConfig
    setting: Setting

    def setup(self) -> None:
        """Name the parts as LWM does; a vision-language model has a second table, ``vte``."""
        config, dtype = self.config, self.setting.dtype
        self.wte = table(config, config.vocab_size, dtype)
        if hasattr(config, "vision_vocab_size"):
            self.vte = table(config, config.vision_vocab_size, dtype)
        self.h = Layers(config, self.setting)
        self.ln_f = RMSNorm(config.rms_norm_eps, dtype)

    def __call__(self, x: jax.Array, context: Context, past: Caches | None) -> tuple[jax.Array, tuple[Cache, ...]]:
        """Return (states [b, s, hidden], the cache of each layer) of embedded tokens [b, s, hidden]."""
        x, present = self.h(x, context, past)
        return self.ln_f(x), present


class Llama(nn.Module):
    """Tokens to logits.

    ``plan`` None leaves the form of attention to the configuration; a ``mesh_dim`` with a ring in it is used where
    there is no cache.
    """

    config: LlamaConfig
    plan: AttentionPlan | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        input_ids: jax.Array,
        attention_mask: jax.Array | None = None,
        position_ids: jax.Array | None = None,
        past: Caches | None = None,
        segment_ids: jax.Array | None = None,
    ) -> tuple[jax.Array, tuple[Cache, ...]]:
        """Return (logits float32 [b, s, vocabulary], the cache of each layer [b, heads, past + s, head_dim]).

        Args:
            input_ids: [b, s], or float32 [b, s, hidden]: tokens that are embedded already.
            attention_mask: [b, past + s], 0 where a token is padding; all are tokens by default.
            position_ids: [b, s]; by default counted from the first token that is no padding.
            past: the cache of each layer, or None.
            segment_ids: [b, past + s] numbers of packed sequences, or None.
        """
        mask, angles = prepare(self.config, input_ids, attention_mask, position_ids, past)
        transformer = Transformer(self.config, setting(self, input_ids), name="transformer")
        states = input_ids if is_embedded(input_ids) else rows(transformer.wte(), input_ids.astype(jnp.int32))
        states, present = transformer(states, Context(*angles, mask, segment_ids), past)
        if self.config.tie_word_embeddings:
            kernel = transformer.wte().T
        else:
            kernel = head(self.config, self.config.vocab_size, self.dtype, "lm_head")()
        return (states @ kernel).astype(jnp.float32), present


def is_embedded(tokens: jax.Array) -> bool:
    """Return whether tokens are no ids [b, s], but what a table has for them [b, s, hidden]."""
    return tokens.ndim == 3


def prepare(
    config: LlamaConfig, ids: jax.Array, mask: jax.Array | None, position_ids: jax.Array | None, past: Caches | None
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Return (mask int32 [b, past + s], (cosines, sines) [b, s, head_dim / 2]) with the defaults filled in.

    Raises:
        UsageError: more tokens than the model has positions.
    """
    sequence = ids.shape[1]
    total = sequence + (past[0][0].shape[2] if past else 0)
    if isinstance(total, int) and total > config.max_sequence_length:
        raise UsageError(f"expected at most max_sequence_length {config.max_sequence_length} tokens, found {total}")
    mask = jnp.ones((ids.shape[0], total), jnp.int32) if mask is None else mask.astype(jnp.int32)
    if position_ids is None:
        position_ids = positions(mask)[:, total - sequence :]
    length = config.max_sequence_length
    return mask, rotary_angles(position_ids, head_dim=config.head_dim, theta=config.theta, length=length)


def setting(model: Any, ids: jax.Array) -> Setting:
    """Return how a model computes these tokens: its own plan, or that of its configuration, and its mesh."""
    plan = model.plan or plan_for(model.config, ids.shape[1])
    mesh = device_mesh(model.config.mesh_dim) if model.config.mesh_dim else None
    return Setting(plan, model.dtype, mesh)


def table(config: LlamaConfig, size: int, dtype: Any) -> Kernel:
    """Return an embedding table [size, hidden]."""
    return Kernel((size, config.hidden_size), config.initializer_range, dtype, "embedding")


def head(config: LlamaConfig, size: int, dtype: Any, name: str) -> Kernel:
    """Return the matrix [hidden, size] of a head."""
    return Kernel((config.hidden_size, size), config.initializer_range, dtype, name=name)
