"""MiniGPT-4's vision tower written in PyTorch, with the key names of its files, and its export as a port makes it."""

# mypy: allow-subclassing-any

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lwmport.types import Array


class Attention(nn.Module):
    """One product for queries, keys and values; keys have no bias."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias, self.v_bias = (nn.Parameter(torch.zeros(width)) for _ in range(2))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        bias = torch.cat((self.q_bias, torch.zeros_like(self.v_bias), self.v_bias))
        joint = nn.functional.linear(x, self.qkv.weight, bias)
        q, k, v = joint.reshape(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = (q * (width // self.heads) ** -0.5) @ k.transpose(-2, -1)
        return self.proj((scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(batch, tokens, width))


class Mlp(nn.Module):
    """Two linear maps with an exact GELU between."""

    def __init__(self, width: int, wide: int) -> None:
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(width, wide), nn.GELU(), nn.Linear(wide, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    """Attention and then the feed-forward network, each on normalised values beside a shortcut."""

    def __init__(self, width: int, wide: int, heads: int, epsilon: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=epsilon) for _ in range(2))
        self.attn, self.mlp = Attention(width, heads), Mlp(width, wide)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    """A picture to patches."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class Tower(nn.Module):
    """The vision transformer, and ln_vision behind it, which the tower's own file does not hold."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        width, heads, epsilon = config.hidden_size, config.num_attention_heads, config.layer_norm_eps
        tokens = 1 + (config.image_size // config.patch_size) ** 2
        self.patch_embed = PatchEmbed(width, config.patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, width))
        self.blocks = nn.ModuleList(
            Block(width, config.intermediate_size, heads, epsilon) for _ in range(config.num_hidden_layers)
        )
        self.ln_vision = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        x = torch.cat((self.cls_token.expand(len(x), -1, -1), x), dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.ln_vision(x)


def torch_tower(config: Any, weights: Mapping[str, Array]) -> Tower:
    """Return the tower with weights by this project's names (``vit/...``); ln_vision is loaded if it is among them."""
    state = {}
    for name, value in weights.items():
        *path, last = name.removeprefix("vit/").split("/")
        kernel = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
        theirs = {"kernel": "weight", "scale": "weight"}.get(last, last)
        laid = np.ascontiguousarray(kernel if last == "kernel" else value)
        state[".".join([*path, theirs])] = torch.from_numpy(laid)
    tower = Tower(config).eval()
    found = tower.load_state_dict(state, strict=False)
    assert not found.unexpected_keys
    return tower


def exported(tower: Tower, size: int, path: Path) -> Path:
    """Export a tower as the published port does: opset 13, nothing folded, input and output by these names."""
    torch.onnx.export(
        tower, (torch.zeros(1, 3, size, size),), str(path), dynamo=False, opset_version=13, do_constant_folding=False,
        input_names=["input"], output_names=["output"], dynamic_axes={"input": {0: "batch"}},
    )  # fmt: skip
    return path
