"""EVA's vision transformer in flax.linen, with the names of ``eva_vit_g.pth``.

Facts of the architecture are from minigpt4/models/eva_vit.py of Vision-CAIR/MiniGPT-4.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from lwmport.models.minigpt4.config import MiniGPT4Config
from lwmport.models.vit.layers import FeedForward, LayerNorm, attention, patches


class VisionTransformer(nn.Module):
    """Pictures to states of the class token and of each patch; what they are is not normalised yet."""

    config: MiniGPT4Config

    @nn.compact
    def __call__(self, pixel_values: jax.Array) -> jax.Array:
        """Return states [b, 1 + patches, hidden] of pictures [b, h, w, 3]."""
        width = self.config.hidden_size
        x = PatchEmbed(self.config, name="patch_embed")(pixel_values)
        first = self.param("cls_token", nn.initializers.normal(0.02), (1, 1, width))
        x = jnp.concatenate([jnp.broadcast_to(first, (x.shape[0], 1, width)), x], axis=1)
        shape = (1, 1 + self.config.patches, width)
        x = x + self.param("pos_embed", nn.initializers.normal(0.02), shape)
        return Blocks(self.config, name="blocks")(x)


class PatchEmbed(nn.Module):
    """Pictures to patches."""

    config: MiniGPT4Config

    @nn.compact
    def __call__(self, pixel_values: jax.Array) -> jax.Array:
        """Return [b, patches, hidden]."""
        return patches(pixel_values, width=self.config.hidden_size, size=self.config.patch_size, name="proj")


class Blocks(nn.Module):
    """All layers, one after the other."""

    config: MiniGPT4Config

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return an array of the shape of x."""
        for layer in range(self.config.num_hidden_layers):
            x = Block(self.config, name=str(layer))(x)
        return x


class Block(nn.Module):
    """One layer: attention and then the feed-forward network, each on normalised values beside a shortcut."""

    config: MiniGPT4Config

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return an array of the shape of x."""
        epsilon = self.config.layer_norm_eps
        x = x + SelfAttention(self.config.num_attention_heads, name="attn")(LayerNorm(epsilon, name="norm1")(x))
        forward = FeedForward(self.config.intermediate_size, "gelu", name="mlp")
        return x + forward(LayerNorm(epsilon, name="norm2")(x))


class SelfAttention(nn.Module):
    """Attention whose queries, keys and values are one product. Keys have no bias: it would cancel in the softmax."""

    heads: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return an array of the shape of x."""
        width = x.shape[-1]
        query, value = (self.param(name, nn.initializers.zeros, (width,)) for name in ("q_bias", "v_bias"))
        bias = jnp.concatenate([query, jnp.zeros_like(query), value])
        joint = nn.Dense(3 * width, use_bias=False, name="qkv")(x) + bias
        parts = (joint[..., start : start + width] for start in range(0, 3 * width, width))
        return nn.Dense(width, name="proj")(attention(*parts, heads=self.heads))
