"""Small files as MiniGPT-4, LLaVA and transformers publish them, of seeded weights under our names."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lwmport.models.families import resolve
from lwmport.types import Array

BACK = {2: (1, 0), 4: (3, 2, 0, 1)}


def seeded(component: str, seed: int = 0, **fields: Any) -> dict[str, Array]:
    """Return values for all tensors of a component at debug size."""
    rng = np.random.default_rng(seed)
    specs = resolve(component, "debug" if not fields else {**resolve(component, "debug").config, **fields}).taken
    return {name: rng.standard_normal(spec.shape).astype(np.float32) for name, spec in specs.items()}


def theirs(name: str, values: Array) -> tuple[str, torch.Tensor]:
    """Return a tensor of ours under torch's name, with torch's axes."""
    if name.endswith("/kernel"):
        values = values.transpose(BACK[values.ndim])
    name = re.sub(r"/(kernel|scale)$", "/weight", name).replace("/", ".")
    return name, torch.from_numpy(np.ascontiguousarray(values))


def minigpt4_files(folder: Path, weights: Mapping[str, Array]) -> None:
    """Write the three files of MiniGPT-4, the tower with a block more than is used."""
    tower: dict[str, torch.Tensor] = {}
    blip2 = {"t5_proj.weight": torch.zeros(4, 4), "Qformer.bert.embeddings.position_ids": torch.arange(8)[None]}
    projection: dict[str, torch.Tensor] = {}
    for own, values in weights.items():
        name, tensor = theirs(own, values)
        if name.startswith("vit."):
            tower[name.removeprefix("vit.")] = tensor
        elif name.startswith("llama_proj."):
            projection[name] = tensor
        else:
            blip2[
                re.sub(r"^qformer\.(layer\.)?", lambda m: f"Qformer.bert.{'encoder.layer.' if m[1] else ''}", name)
            ] = tensor
    depth = 1 + max(int(name.split(".")[1]) for name in tower if name.startswith("blocks."))
    tower |= {
        name.replace("blocks.0.", f"blocks.{depth}."): value for name, value in tower.items() if "blocks.0." in name
    }
    tower |= {"norm.weight": torch.ones(4), "head.bias": torch.zeros(4)}
    torch.save(tower, folder / "eva_vit_g.pth")
    torch.save({"model": blip2}, folder / "blip2_pretrained_flant5xxl.pth")
    beside = {
        "optimizer": {"state": {0: {"step": 7}}, "param_groups": [{"lr": 1e-4, "params": [0, 1]}]},
        "scaler": None,
    }
    settings = {"run": {"task": "image_text_pretrain", "amp": True, "lr": [1e-4, 1e-5]}}
    torch.save({"model": projection, "config": settings, "epoch": 3, **beside}, folder / "pretrained_minigpt4_7b.pth")


LAYOUTS = {
    "transformers 4": (
        "vision_tower.vision_model.",
        "multi_modal_projector.linear_1.",
        "multi_modal_projector.linear_2.",
    ),
    "transformers 5": (
        "model.vision_tower.",
        "model.multi_modal_projector.linear_1.",
        "model.multi_modal_projector.linear_2.",
    ),
    "LLaVA": ("model.vision_tower.vision_tower.vision_model.", "model.mm_projector.0.", "model.mm_projector.2."),
}


def llava_names(weights: Mapping[str, Array], layout: str) -> dict[str, torch.Tensor]:
    """Return the tensors of LLaVA's image side under the names of one of `LAYOUTS`."""
    tower, first, second = LAYOUTS[layout]
    found = {}
    for own, values in weights.items():
        name, tensor = theirs(own, values)
        name = name.replace("projector.linear_1.", first).replace("projector.linear_2.", second)
        if name.startswith("vision."):
            inner = name.removeprefix("vision.")
            inner = inner if inner.startswith("pre_layrnorm") else f"encoder.{inner}"
            inner = {
                "encoder.class_embedding": "embeddings.class_embedding",
                "encoder.position_embedding": "embeddings.position_embedding.weight",
                "encoder.patch_embedding.weight": "embeddings.patch_embedding.weight",
            }.get(inner, inner)
            name = tower + inner
        found[name] = tensor
    return found
