"""The image side of LLaVA in flax.linen: a picture to what the language model reads in its place.

Facts of the architecture are from CLIP's vision transformer as transformers has it (modeling_clip.py), with the names
of its checkpoints, and from llava/model/multimodal_projector/builder.py of haotian-liu/LLaVA.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from lwmport.models.llava.config import LlavaConfig
from lwmport.models.vit.layers import ACTIVATIONS, FeedForward, LayerNorm, attention, patches


class Llava(nn.Module):
    """Tower and projector; each can be asked for on its own."""

    config: LlavaConfig

    def setup(self) -> None:
        """Name the parts."""
        self.vision = VisionTransformer(self.config)
        self.projector = Projector(self.config)

    def see(self, pixel_values: jax.Array) -> jax.Array:
        """Return image_embeds [b, patches, hidden] of pictures [b, h, w, 3]."""
        return self.vision(pixel_values)

    def project(self, image_embeds: jax.Array) -> jax.Array:
        """Return image_features [b, patches, text_hidden] of image_embeds."""
        return self.projector(image_embeds)

    def __call__(self, pixel_values: jax.Array) -> jax.Array:
        """Return image_features of pictures."""
        return self.project(self.see(pixel_values))


class VisionTransformer(nn.Module):
    """Pictures to states of each patch behind a layer near the end; what comes behind it is not there."""

    config: LlavaConfig

    @nn.compact
    def __call__(self, pixel_values: jax.Array) -> jax.Array:
        """Return states [b, patches, hidden] of pictures [b, h, w, 3], the class token left out at last."""
        config, width = self.config, self.config.hidden_size
        x = patches(pixel_values, width=width, size=config.patch_size, name="patch_embedding", use_bias=False)
        first = self.param("class_embedding", nn.initializers.normal(0.02), (width,))
        x = jnp.concatenate([jnp.broadcast_to(first, (x.shape[0], 1, width)), x], axis=1)
        x = x + self.param("position_embedding", nn.initializers.normal(0.02), (1 + config.patches, width))
        x = LayerNorm(config.layer_norm_eps, name="pre_layrnorm")(x)
        return Layers(config, name="layers")(x)[:, 1:]


class Layers(nn.Module):
    """The layers that are used, one after the other."""

    config: LlavaConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return an array of the shape of x."""
        for layer in range(self.config.used_layers):
            x = Layer(self.config, name=str(layer))(x)
        return x


class Layer(nn.Module):
    """One layer: attention and then the feed-forward network, each on normalised values beside a shortcut."""

    config: LlavaConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return an array of the shape of x."""
        config, epsilon = self.config, self.config.layer_norm_eps
        attend = SelfAttention(config.num_attention_heads, name="self_attn")
        x = x + attend(LayerNorm(epsilon, name="layer_norm1")(x))
        forward = FeedForward(config.intermediate_size, config.hidden_act, name="mlp")
        return x + forward(LayerNorm(epsilon, name="layer_norm2")(x))


class SelfAttention(nn.Module):
    """Attention whose queries, keys, values and results have a linear map each."""

    heads: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return an array of the shape of x."""
        width = x.shape[-1]
        parts = (nn.Dense(width, name=name)(x) for name in ("q_proj", "k_proj", "v_proj"))
        return nn.Dense(width, name="out_proj")(attention(*parts, heads=self.heads))


class Projector(nn.Module):
    """States of patches to embeddings of the language model: two linear maps with an activation between."""

    config: LlavaConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return [b, patches, text_hidden]."""
        width = self.config.text_hidden_size
        wide = ACTIVATIONS[self.config.projector_hidden_act](nn.Dense(width, name="linear_1")(x))
        return nn.Dense(width, name="linear_2")(wide)
