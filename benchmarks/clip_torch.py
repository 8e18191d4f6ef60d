"""transformers' CLIPVisionModel with the weights of LLaVA's tower, through torch.onnx.export."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lwmport.types import Array

NAMES = {
    "vision/layers/": "encoder/layers/",
    "vision/class_embedding": "embeddings/class_embedding",
    "vision/patch_embedding": "embeddings/patch_embedding",
    "vision/position_embedding": "embeddings/position_embedding/weight",
    "vision/": "",
    "/kernel": "/weight",
    "/scale": "/weight",
}
"""Parts of our names -> transformers' own."""
FIELDS = (
    *("hidden_size", "intermediate_size", "num_attention_heads", "image_size", "patch_size"),
    *("hidden_act", "layer_norm_eps"),
)


def export(config: Mapping[str, Any], weights: Mapping[str, Array], path: Path) -> None:
    """Write the tower for one picture, up to the layer that LLaVA reads, without the class token."""
    import torch

    size = config["image_size"]
    torch.onnx.export(
        _tower(config, weights), (torch.zeros(1, 3, size, size),), str(path), dynamo=True, verbose=False,
        external_data=True, input_names=["pixel_values"], output_names=["image_embeds"],
    )  # fmt: skip


def _tower(config: Mapping[str, Any], weights: Mapping[str, Array]) -> Any:
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModel

    state = {_theirs(name): _laid(name, value) for name, value in weights.items()}
    layers = len({name.split(".")[2] for name in state if name.startswith("encoder.layers.")})
    given = {name: config[name] for name in FIELDS}
    model: Any = CLIPVisionModel(CLIPVisionConfig(num_hidden_layers=layers, **given))
    inner = getattr(model, "vision_model", model)  # releases before 5 have a module around it
    told = inner.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()}, strict=False)
    if told.unexpected_keys or any("post_layernorm" not in name for name in told.missing_keys):
        raise ValueError(f"expected the weights of CLIPVisionModel, found {told}")

    class Tower(torch.nn.Module):  # type: ignore[misc]  # PyTorch's types are not followed
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, pixel_values: Any) -> Any:
            return self.inner(pixel_values).last_hidden_state[:, 1:]

    return Tower().eval()


def _theirs(name: str) -> str:
    for ours, other in NAMES.items():
        name = name.replace(ours, other)
    return name.replace("/", ".")


def _laid(name: str, value: Array) -> Array:
    if name.endswith("/kernel"):
        value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
    return np.ascontiguousarray(value)
