"""The Q-Former of BLIP-2 in flax.linen, with the names of its checkpoints: queries that look at a picture.

It is a BERT of queries alone: normalised behind each shortcut, without positions, words and masks. Facts of the
architecture are from minigpt4/models/Qformer.py of Vision-CAIR/MiniGPT-4; the feed-forward network that is at work is
``intermediate_query`` and ``output_query``.
"""

import jax
from flax import linen as nn

from lwmport.models.composites import transformer as transformer_composites
from lwmport.models.minigpt4.config import MiniGPT4Config
from lwmport.models.vit.layers import LayerNorm, attention


class QFormer(nn.Module):
    """Queries and the states of a picture to states of the queries."""

    config: MiniGPT4Config

    @nn.compact
    def __call__(self, queries: jax.Array, image_embeds: jax.Array) -> jax.Array:
        """Return states [b, q, qformer_hidden] of queries of that shape and states [b, n, hidden] of pictures."""
        queries = Embeddings(self.config, name="embeddings")(queries)
        return Layers(self.config, name="layer")(queries, image_embeds)


class Embeddings(nn.Module):
    """The queries as the first layer reads them: normalised, with no position added."""

    config: MiniGPT4Config

    @nn.compact
    def __call__(self, queries: jax.Array) -> jax.Array:
        """Return an array of the shape of the queries."""
        return LayerNorm(self.config.qformer_layer_norm_eps, name="LayerNorm")(queries)


class Layers(nn.Module):
    """All layers, one after the other."""

    config: MiniGPT4Config

    @nn.compact
    def __call__(self, x: jax.Array, image_embeds: jax.Array) -> jax.Array:
        """Return an array of the shape of x."""
        for layer in range(self.config.qformer_num_hidden_layers):
            looks = layer % self.config.qformer_cross_attention_frequency == 0
            x = Layer(self.config, name=str(layer))(x, image_embeds if looks else None)
        return x


class Layer(nn.Module):
    """One layer: attention among the queries, attention to the picture where there is one, feed-forward network."""

    config: MiniGPT4Config

    @nn.compact
    def __call__(self, x: jax.Array, image_embeds: jax.Array | None) -> jax.Array:
        """Return an array of the shape of x."""
        x = Attention(self.config, name="attention")(x, x)
        if image_embeds is not None:
            x = Attention(self.config, name="crossattention")(x, image_embeds)
        wide = Intermediate(self.config.qformer_intermediate_size, name="intermediate_query")(x)
        return Output(self.config, name="output_query")(wide, x)


class Attention(nn.Module):
    """Attention of queries to other states, with its shortcut and norm."""

    config: MiniGPT4Config

    @nn.compact
    def __call__(self, x: jax.Array, seen: jax.Array) -> jax.Array:
        """Return an array of the shape of x."""
        return Output(self.config, name="output")(Heads(self.config, name="self")(x, seen), x)


class Heads(nn.Module):
    """The heads of an attention."""

    config: MiniGPT4Config

    @nn.compact
    def __call__(self, x: jax.Array, seen: jax.Array) -> jax.Array:
        """Return an array of the shape of x."""
        named = (("query", x), ("key", seen), ("value", seen))
        parts = (nn.Dense(x.shape[-1], name=name)(states) for name, states in named)
        return attention(*parts, heads=self.config.qformer_num_attention_heads)


class Intermediate(nn.Module):
    """The wide half of a feed-forward network."""

    width: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return [b, q, width]."""
        return transformer_composites.gelu(nn.Dense(self.width, name="dense")(x))


class Output(nn.Module):
    """What ends each half of a layer: a linear map, the shortcut, the norm of both."""

    config: MiniGPT4Config

    @nn.compact
    def __call__(self, found: jax.Array, x: jax.Array) -> jax.Array:
        """Return an array of the shape of x."""
        found = nn.Dense(x.shape[-1], name="dense")(found)
        return LayerNorm(self.config.qformer_layer_norm_eps, name="LayerNorm")(found + x)
