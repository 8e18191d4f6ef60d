"""LWM's VQGAN written by hand in PyTorch: the peer whose conversion and speed the benchmark measures.

Submodules carry LWM's parameter names, so that a checkpoint loads with no table of names. Inside it is NCHW, as
PyTorch prefers; `EncoderHalf` and `DecoderHalf` take and give NHWC, so that their signatures equal the project's.
"""

# mypy: allow-subclassing-any
# PyTorch's types are not followed (pyproject.toml), which makes nn.Module Any.

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lwmport.models.group_norm import GROUPS
from lwmport.models.layers import EPSILON
from lwmport.models.vqgan.config import VQGANConfig
from lwmport.types import Array


class Pipeline(nn.Module):
    """Modules in a row, under the names that they are given."""

    def __init__(self, **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Tensor) -> Tensor:
        """Return x through every module."""
        for module in self.children():
            x = module(x)
        return x


class NormSiluConv(Pipeline):
    """GroupNorm, SiLU and a 3x3 convolution, numbered as flax numbers them."""

    def __init__(self, inputs: int, outputs: int, *, norm: int = 0, conv: int = 0) -> None:
        super().__init__(
            **{
                f"GroupNorm_{norm}": nn.GroupNorm(GROUPS, inputs, eps=EPSILON),
                "silu": nn.SiLU(),
                f"Conv_{conv}": conv3x3(inputs, outputs),
            }
        )


class ResnetBlock(nn.Module):
    """Two normalised convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = NormSiluConv(inputs, outputs)
        self.second = NormSiluConv(outputs, outputs, norm=1, conv=1)
        self.Conv_2 = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        """Return [b, outputs, h, w]."""
        y = self.second(self.first(x))
        return y + (x if self.Conv_2 is None else self.Conv_2(x))


class Downsample(nn.Module):
    """Half the size: one row of zeros below, one column to the right, then a strided convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.Conv_0 = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Return [b, c, h / 2, w / 2]."""
        return self.Conv_0(functional.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Twice the size: nearest neighbour, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.Conv_0 = conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return [b, c, 2 h, 2 w]."""
        return self.Conv_0(functional.interpolate(x, scale_factor=2.0, mode="nearest"))


class EncoderHalf(nn.Module):
    """Pixels [b, H, W, 3] to (codebook_indices int32 [b, h, w], quantized_states [b, h, w, d])."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        widths = [config.hidden_channels * mult for mult in config.channel_mult]
        blocks = {}
        for level, (inputs, width) in enumerate(zip([config.hidden_channels, *widths], widths, strict=False)):
            down = {} if level == len(widths) - 1 else {"Downsample_0": Downsample(width)}
            block = Pipeline(**residuals(inputs, width, config.num_res_blocks), **down)
            blocks[f"DownsamplingBlock_{level}"] = block
        self.encoder = Pipeline(
            Conv_0=conv3x3(config.num_channels, config.hidden_channels),
            **blocks,
            MidBlock_0=Pipeline(**residuals(widths[-1], widths[-1], 2)),
            last=NormSiluConv(widths[-1], config.z_channels, conv=1),
        )
        self.quant_conv = nn.Conv2d(config.z_channels, config.quantized_embed_dim, 1)
        self.quantize = nn.Embedding(config.num_embeddings, config.quantized_embed_dim)

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the indices and the states."""
        z = self.quant_conv(self.encoder(pixel_values.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        flat, codes = z.reshape(-1, z.shape[-1]), self.quantize.weight
        lengths = (flat * flat).sum(1, keepdim=True) + (codes * codes).sum(1)
        indices = (lengths - 2.0 * flat @ codes.T).argmin(1).reshape(z.shape[:-1])
        return indices.to(torch.int32), z + (self.quantize(indices) - z)


class DecoderHalf(nn.Module):
    """Codebook indices int32 [b, h, w] to pixels [b, H, W, 3], clipped to [-1, 1]."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        widths = [config.hidden_channels * mult for mult in reversed(config.channel_mult)]
        blocks = {}
        for index, (inputs, width) in enumerate(zip([widths[0], *widths], widths, strict=False)):
            up = {} if index == len(widths) - 1 else {"Upsample_0": Upsample(width)}
            blocks[f"UpsamplingBlock_{index}"] = Pipeline(**residuals(inputs, width, config.num_res_blocks + 1), **up)
        self.quantize = nn.Embedding(config.num_embeddings, config.quantized_embed_dim)
        self.post_quant_conv = nn.Conv2d(config.quantized_embed_dim, config.z_channels, 1)
        self.decoder = Pipeline(
            Conv_0=conv3x3(config.z_channels, widths[0]),
            MidBlock_0=Pipeline(**residuals(widths[0], widths[0], 2)),
            **blocks,
            last=NormSiluConv(widths[-1], config.num_channels, conv=1),
        )

    def forward(self, codebook_indices: Tensor) -> Tensor:
        """Return the pixels."""
        codes = self.quantize(codebook_indices).permute(0, 3, 1, 2)
        pixels: Tensor = self.decoder(self.post_quant_conv(codes))
        return pixels.clamp(-1.0, 1.0).permute(0, 2, 3, 1)


def residuals(inputs: int, width: int, count: int) -> dict[str, ResnetBlock]:
    """Return `count` residual blocks by name; the first one changes the width."""
    return {f"ResnetBlock_{index}": ResnetBlock(width if index else inputs, width) for index in range(count)}


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps height and width."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


HALVES: Mapping[str, Any] = {"encoder": EncoderHalf, "decoder": DecoderHalf}


def build(half: str, config: VQGANConfig, weights: Mapping[str, Array]) -> nn.Module:
    """Return one half of the model with weights by LWM's names, ready for inference.

    Raises:
        ValueError: a configuration with attention, which this twin of the released model leaves out.
    """
    if config.attn_resolutions or not config.no_attn_mid_block:
        raise ValueError("expected a configuration without attention, as released; found one with it")
    module: nn.Module = HALVES[half](config)
    module.load_state_dict({name: _weight(weights, name) for name in module.state_dict()})
    return module.eval().requires_grad_(False)  # noqa: FBT003 - PyTorch's own signature


def _weight(weights: Mapping[str, Array], name: str) -> Tensor:
    """Return the tensor of a state dict's name; convolutions turn from HWIO to OIHW."""
    *path, leaf = (part for part in name.split(".") if part not in {"first", "second", "last"})
    names = {"weight": ("kernel", "scale", "embeddings")}.get(leaf, (leaf,))
    (array,) = (weights["/".join([*path, own])] for own in names if "/".join([*path, own]) in weights)
    return torch.tensor(np.ascontiguousarray(array.transpose(3, 2, 0, 1)) if array.ndim == 4 else array)
