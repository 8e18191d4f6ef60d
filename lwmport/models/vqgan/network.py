"""LWM's VQGAN in flax.linen; class names and call order give LWM's parameter names.

Pixels are [b, h, w, c] in [-1, 1], codes are indices into an embedding table. Facts of the architecture are from
LWM's published model; layers that a backend has an operator for are composites.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from lwmport.models.composites import basic as composites
from lwmport.models.layers import GroupNorm, conv1x1, conv3x3, rows
from lwmport.models.vqgan.config import VQGANConfig


class VQGAN(nn.Module):
    """Pictures to codebook indices and back. A fifth, second axis (frames of a video) is folded into the batch."""

    config: VQGANConfig

    def setup(self) -> None:
        """Name the parts as LWM does."""
        self.encoder = Encoder(self.config)
        self.decoder = Decoder(self.config)
        self.quantize = VectorQuantizer(self.config.num_embeddings, self.config.quantized_embed_dim)
        self.quant_conv = conv1x1(self.config.quantized_embed_dim)
        self.post_quant_conv = conv1x1(self.config.z_channels)

    def encode(self, pixel_values: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return (quantized_states [..., h, w, d], codebook_indices int32 [..., h, w]) of pixels [..., H, W, 3]."""
        leading = pixel_values.shape[:-3]
        states, indices = self.quantize.nearest(self.latents(pixel_values))
        return states.reshape(*leading, *states.shape[1:]), indices.reshape(*leading, *indices.shape[1:])

    def latents(self, pixel_values: jax.Array) -> jax.Array:
        """Return what is quantized: z [n, h, w, d] of pixels [..., H, W, 3], leading axes folded into n."""
        return self.quant_conv(self.encoder(pixel_values.reshape(-1, *pixel_values.shape[-3:])))

    def decode(self, codebook_indices: jax.Array) -> jax.Array:
        """Return pixels [..., H, W, 3], clipped to [-1, 1], of codebook indices [..., h, w]."""
        leading = codebook_indices.shape[:-2]
        codes = self.quantize.lookup(codebook_indices.reshape(-1, *codebook_indices.shape[-2:]))
        pixels = jnp.clip(self.decoder(self.post_quant_conv(codes)), -1.0, 1.0)
        return pixels.reshape(*leading, *pixels.shape[1:])

    def __call__(self, pixel_values: jax.Array) -> jax.Array:
        """Return the reconstruction of pixels: encode, then decode."""
        return self.decode(self.encode(pixel_values)[1])


class Encoder(nn.Module):
    """Pixels [b, H, W, c] to latents [b, h, w, z_channels]."""

    config: VQGANConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the latents."""
        x = conv3x3(self.config.hidden_channels)(x)
        for level in range(len(self.config.channel_mult)):
            x = DownsamplingBlock(self.config, level)(x)
        x = MidBlock(self.config)(x)
        return conv3x3(self.config.z_channels)(composites.silu(GroupNorm()(x)))


class Decoder(nn.Module):
    """Latents [b, h, w, z_channels] to unclipped pixels [b, H, W, num_channels]."""

    config: VQGANConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the pixels."""
        x = conv3x3(self.config.hidden_channels * self.config.channel_mult[-1])(x)
        x = MidBlock(self.config)(x)
        for level in reversed(range(len(self.config.channel_mult))):
            x = UpsamplingBlock(self.config, level)(x)
        return conv3x3(self.config.num_channels)(composites.silu(GroupNorm()(x)))


class VectorQuantizer(nn.Module):
    """The codebook: an embedding table [num_embeddings, dimension]."""

    num_embeddings: int
    dimension: int

    def setup(self) -> None:
        """Create the table with LWM's initial range."""
        bound = 1.0 / self.num_embeddings
        self.embeddings = self.param(
            "embeddings",
            lambda key, shape: jax.random.uniform(key, shape, minval=-bound, maxval=bound),
            (self.num_embeddings, self.dimension),
        )

    def nearest(self, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return (states [b, h, w, d], indices int32 [b, h, w]) of latents z [b, h, w, d].

        The states are z + (e - z) rather than e: LWM's straight-through estimator, whose rounding is visible.
        """
        z = z.astype(self.embeddings.dtype)
        flat = composites.nearest_code(z.reshape(-1, z.shape[-1]), self.embeddings)
        indices = flat.reshape(z.shape[:-1])
        return z + (self.lookup(indices) - z), indices

    def lookup(self, indices: jax.Array) -> jax.Array:
        """Return the embedding [..., d] of each index [...], which must lie inside the table."""
        return rows(self.embeddings, indices)


class DownsamplingBlock(nn.Module):
    """One level of the encoder: residual blocks, attention where asked, and half the size but on the last level."""

    config: VQGANConfig
    level: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return [b, h / 2, w / 2, c], or [b, h, w, c] on the last level."""
        for _ in range(self.config.num_res_blocks):
            x = _residual_and_attention(self.config, self.level, x)
        last = self.level == len(self.config.channel_mult) - 1
        return x if last else Downsample(self.config.resample_with_conv)(x)


class UpsamplingBlock(nn.Module):
    """One level of the decoder: one residual block more than the encoder's, and twice the size but on level 0."""

    config: VQGANConfig
    level: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return [b, 2 h, 2 w, c], or [b, h, w, c] on level 0."""
        for _ in range(self.config.num_res_blocks + 1):
            x = _residual_and_attention(self.config, self.level, x)
        return x if self.level == 0 else Upsample(self.config.resample_with_conv)(x)


class MidBlock(nn.Module):
    """The middle: a residual block, attention unless switched off, a residual block."""

    config: VQGANConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return an array of the shape of x."""
        x = ResnetBlock(x.shape[-1])(x)
        if not self.config.no_attn_mid_block:
            x = AttnBlock()(x)
        return ResnetBlock(x.shape[-1])(x)


class ResnetBlock(nn.Module):
    """Two normalised convolutions beside a shortcut. LWM's dropout is off at inference and has no weights."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return [b, h, w, features]."""
        y = conv3x3(self.features)(composites.silu(GroupNorm()(x)))
        y = conv3x3(self.features)(composites.silu(GroupNorm()(y)))
        if x.shape[-1] != self.features:
            x = conv1x1(self.features)(x)
        return y + x


class AttnBlock(nn.Module):
    """Self-attention with one head over all positions of a feature map."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return an array of the shape of x."""
        batch, height, width, channels = x.shape
        y = GroupNorm()(x)
        query, key, value = (conv1x1(channels)(y).reshape(batch, height * width, channels) for _ in range(3))
        scores = jnp.einsum("bqc,bkc->bqk", query, key) * channels**-0.5
        y = jnp.einsum("bqk,bkc->bqc", composites.softmax(scores), value)
        return conv1x1(channels)(y.reshape(x.shape)) + x


class Downsample(nn.Module):
    """Half the size: a strided convolution padded below and to the right only, or the mean of 2x2."""

    with_conv: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return [b, h / 2, w / 2, c]."""
        if not self.with_conv:
            return composites.average_pool(x, size=2)
        x = jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
        return nn.Conv(x.shape[-1], (3, 3), strides=(2, 2), padding="VALID")(x)


class Upsample(nn.Module):
    """Twice the size: nearest neighbour, then a convolution where the configuration asks for one."""

    with_conv: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return [b, 2 h, 2 w, c]."""
        x = composites.upsample_nearest(x, factor=2)
        return conv3x3(x.shape[-1])(x) if self.with_conv else x


def _residual_and_attention(config: VQGANConfig, level: int, x: jax.Array) -> jax.Array:
    """Return x through one residual block, and attention if the feature map has an attended height."""
    x = ResnetBlock(config.hidden_channels * config.channel_mult[level])(x)
    return AttnBlock()(x) if x.shape[1] in config.attn_resolutions else x
