"""The image side of MiniGPT-4 in flax.linen: a picture to what the language model reads in its place.

Facts of the architecture are from ``encode_img`` in minigpt4/models/minigpt4.py of Vision-CAIR/MiniGPT-4.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from lwmport.models.minigpt4.config import JOINED, MiniGPT4Config
from lwmport.models.minigpt4.qformer import QFormer
from lwmport.models.minigpt4.vision import VisionTransformer
from lwmport.models.vit.layers import LayerNorm


class MiniGPT4(nn.Module):
    """Tower, Q-Former where there is one, projection; each can be asked for on its own."""

    config: MiniGPT4Config

    def setup(self) -> None:
        """Name the parts as the files of MiniGPT-4 do."""
        config = self.config
        self.vit = VisionTransformer(config)
        self.ln_vision = LayerNorm(config.post_norm_eps)
        if config.has_qformer:
            self.qformer = QFormer(config)
            if self.is_initializing() or self.has_variable("params", "query_tokens"):  # the other parts run without
                shape = (1, config.num_query_tokens, config.qformer_hidden_size)
                self.query_tokens = self.param("query_tokens", nn.initializers.normal(0.02), shape)
        self.llama_proj = nn.Dense(config.text_hidden_size)

    def see(self, pixel_values: jax.Array) -> jax.Array:
        """Return image_embeds [b, 1 + patches, hidden] of pictures [b, h, w, 3], the class token first."""
        return self.ln_vision(self.vit(pixel_values))

    def query(self, image_embeds: jax.Array) -> jax.Array:
        """Return query_output [b, queries, qformer_hidden] of image_embeds, the class token among them."""
        queries = jnp.broadcast_to(self.query_tokens, (image_embeds.shape[0], *self.query_tokens.shape[1:]))
        return self.qformer(queries, image_embeds)

    def project(self, states: jax.Array) -> jax.Array:
        """Return image_features [b, tokens, text_hidden] of query_output, or of image_embeds where that is not."""
        if not self.config.has_qformer:
            states = states[:, 1:].reshape(states.shape[0], self.config.tokens, JOINED * states.shape[-1])
        return self.llama_proj(states)

    def see_and_query(self, pixel_values: jax.Array) -> jax.Array:
        """Return query_output of pictures."""
        return self.query(self.see(pixel_values))

    def __call__(self, pixel_values: jax.Array) -> jax.Array:
        """Return image_features of pictures."""
        see = self.see_and_query if self.config.has_qformer else self.see
        return self.project(see(pixel_values))
