"""transformers' Blip2VisionModel with the weights of our tower, through torch.onnx.export."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lwmport.types import Array

NAMES = {
    "vit/cls_token": "embeddings.class_embedding",
    "vit/pos_embed": "embeddings.position_embedding",
    "vit/patch_embed/proj/": "embeddings.patch_embedding.",
    "vit/blocks/": "encoder.layers.",
    "/norm1/": ".layer_norm1.",
    "/norm2/": ".layer_norm2.",
    "/attn/qkv/": ".self_attn.qkv.",
    "/attn/proj/": ".self_attn.projection.",
    "/mlp/": ".mlp.",
    "ln_vision/": "post_layernorm.",
}
"""Parts of our names -> transformers' own."""
FIELDS = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size")


def export(config: Mapping[str, Any], weights: Mapping[str, Array], path: Path) -> None:
    """Write the tower for one picture; it takes channels first, as ours does."""
    import torch

    size = config["image_size"]
    torch.onnx.export(
        _tower(config, weights), (torch.zeros(1, 3, size, size),), str(path), dynamo=True, verbose=False,
        external_data=True, input_names=["pixel_values"], output_names=["image_embeds"],
    )  # fmt: skip


def _tower(config: Mapping[str, Any], weights: Mapping[str, Array]) -> Any:
    import torch
    from transformers import Blip2VisionConfig, Blip2VisionModel

    model: Any = Blip2VisionModel(Blip2VisionConfig(**{name: config[name] for name in FIELDS}))
    model.post_layernorm.eps = config["post_norm_eps"]
    model.load_state_dict({name: torch.from_numpy(value) for name, value in _state(weights).items()}, assign=True)

    class Tower(torch.nn.Module):  # type: ignore[misc]  # PyTorch's types are not followed
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, pixel_values: Any) -> Any:
            return self.inner(pixel_values).last_hidden_state

    return Tower().eval()


def _state(weights: Mapping[str, Array]) -> dict[str, Array]:
    """Return the weights by transformers' names, laid out as torch has them."""
    found = {}
    for name, value in weights.items():
        if name.endswith("/v_bias"):
            continue
        theirs, laid = name, value
        if name.endswith("/q_bias"):  # keys have no bias
            laid = np.concatenate([value, np.zeros_like(value), weights[name.replace("q_bias", "v_bias")]])
            theirs = name.replace("/q_bias", "/qkv/bias")
        for ours, other in NAMES.items():
            theirs = theirs.replace(ours, other)
        if name.endswith("/kernel"):
            laid = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
        theirs = theirs.replace("/", ".").replace(".kernel", ".weight").replace(".scale", ".weight")
        found[theirs] = np.ascontiguousarray(laid)
    return found
