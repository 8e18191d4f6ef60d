"""Folders that the installed transformers writes of a seeded LLaVA and of its tower: the same numbers come out here."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import published
import pytest

from lwmport.checkpoints.model_weights import component_weights, open_model
from lwmport.models.options import Options

torch = pytest.importorskip("torch", reason="PyTorch is not installed; run: pip install 'lwmport[torch]'")
transformers = pytest.importorskip(
    "transformers", reason="transformers is not installed; run: pip install transformers"
)


def model() -> Any:
    vision = {name: value for name, value in published.VISION.items() if name != "model_type"}
    text = {name: value for name, value in published.TEXT.items() if name not in {"model_type", "architectures"}}
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**vision),
        text_config=transformers.LlamaConfig(**text),
        image_token_index=15,
        vision_feature_layer=-2,
    )
    torch.manual_seed(5)
    made = transformers.LlavaForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0, 0.2)
    return made


def computed(component: str, folder: Path, pixels: Any) -> Any:
    family, weights = open_model(component, str(folder), "lwm", Options(), 0)
    one = family.references[0]
    read = component_weights(family, one, weights)
    return one.apply({name: read.read(name) for name in one.weights}, {"pixel_values": pixels})


def test_what_transformers_saves_gives_its_numbers(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        llava = model()
        llava.save_pretrained(tmp_path / "llava")
        tower = llava.model.vision_tower
        tower.save_pretrained(tmp_path / "tower")
    pixels = np.random.default_rng(0).standard_normal((2, published.SIDE, published.SIDE, 3), np.float32)
    seen = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    with torch.no_grad():
        states = tower(seen, output_hidden_states=True).hidden_states[-2][:, 1:]
        features = llava.model.multi_modal_projector(states)
    for folder in ("tower", "llava"):
        found = computed("llava-vision", tmp_path / folder, pixels)
        np.testing.assert_allclose(found["image_embeds"], states.numpy(), atol=2e-4, rtol=2e-4)
    found = computed("llava-image", tmp_path / "llava", pixels)
    np.testing.assert_allclose(found["image_features"], features.numpy(), atol=2e-4, rtol=2e-4)
