"""A LoRA adapter of LLaVA: each part of the model takes its own changes, and says which it leaves out."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import published
import pytest
from safetensors.numpy import save_file

from lwmport.checkpoints.model_weights import open_model
from lwmport.errors import CheckpointError
from lwmport.models.options import Options
from lwmport.types import Array

RANK, ALPHA = 2, 6


def product(module: str, out: int, inputs: int) -> dict[str, Array]:
    start = f"base_model.model.{module}"
    return published.made({f"{start}.lora_A.weight": (RANK, inputs), f"{start}.lora_B.weight": (out, RANK)}, 9)


def written(folder: Path, *changes: Mapping[str, Array]) -> Path:
    folder.mkdir()
    save_file(
        {name: array for change in changes for name, array in change.items()}, folder / "adapter_model.safetensors"
    )
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def added(change: Mapping[str, Array]) -> Array:
    a, b = (next(array for name, array in change.items() if f"lora_{part}" in name) for part in "AB")
    return (np.float32(ALPHA / RANK) * (b @ a)).T


TEXT = {
    "transformers 4": "language_model.model.layers.0.self_attn.v_proj",
    "transformers 5": "model.language_model.layers.0.self_attn.v_proj",
    "LLaVA": "model.layers.0.self_attn.v_proj",
}
TOWER = {
    "transformers 4": "vision_tower.vision_model.encoder.layers.1.self_attn.k_proj",
    "transformers 5": "model.vision_tower.encoder.layers.1.self_attn.k_proj",
    "LLaVA": "model.vision_tower.vision_tower.vision_model.encoder.layers.1.self_attn.k_proj",
}


@pytest.mark.parametrize("kind", TEXT)
def test_each_part_takes_its_own_changes(kind: str, tmp_path: Path) -> None:
    base = published.folder(tmp_path / "base", published.in_transformers_4(), published.LLAVA)
    text = product(TEXT[kind], published.LANGUAGE, published.LANGUAGE)
    tower = product(TOWER[kind], published.WIDTH, published.WIDTH)
    unused = product(TOWER[kind].replace("layers.1", "layers.2"), published.WIDTH, published.WIDTH)
    adapter = written(tmp_path / "adapter", text, tower, unused)
    for component, name, change in (
        ("llama", "transformer/h/0/attention/wv/kernel", text),
        ("llava-image", "vision/layers/1/self_attn/k_proj/kernel", tower),
    ):
        _, plain = open_model(component, str(base), "lwm", Options(), 0)
        _, merged = open_model(component, str(base), "lwm", Options(), 0, adapter)
        np.testing.assert_allclose(merged.read(name), plain.read(name) + added(change), rtol=1e-5, atol=1e-6)
        assert "of which changes of 2 modules that are not read" in merged.source["description"]


def test_an_adapter_of_other_parts_alone_is_refused(tmp_path: Path) -> None:
    base = published.folder(tmp_path / "base", published.in_transformers_4(), published.LLAVA)
    adapter = written(tmp_path / "adapter", product(TEXT["LLaVA"], published.LANGUAGE, published.LANGUAGE))
    with pytest.raises(CheckpointError, match=r"found those of other parts alone: model\.layers\.0\.self_attn\.v_proj"):
        open_model("llava-vision", str(base), "lwm", Options(), 0, adapter)
