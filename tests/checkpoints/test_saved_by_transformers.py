"""Folders that the installed transformers writes of a seeded LLaVA and of its tower: the same numbers come out here."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import published
import pytest

from lwmport.checkpoints.model_weights import component_weights, open_model
from lwmport.models.options import Options
from lwmport.types import Array

torch = pytest.importorskip("torch", reason="PyTorch is not installed; run: pip install 'lwmport[torch]'")
transformers = pytest.importorskip(
    "transformers", reason="transformers is not installed; run: pip install transformers"
)

CLOSE = 2e-4
"""What the outputs may differ by; 1e-5 is seen."""

PICTURE, LAYERS = 15, 2
"""The token in whose place a picture stands, and the layers of the language model."""


def model() -> Any:
    vision = {name: value for name, value in published.VISION.items() if name != "model_type"}
    text = {name: value for name, value in published.TEXT.items() if name not in {"model_type", "architectures"}}
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**vision),
        text_config=transformers.LlamaConfig(**{**text, "num_hidden_layers": LAYERS}),
        image_token_index=PICTURE,
        vision_feature_layer=-2,
    )
    torch.manual_seed(5)
    made = transformers.LlavaForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0, 0.2)
    return made


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A LLaVA of transformers, and the folder that holds it as ``llava`` and its tower alone as ``tower``."""
    folder = tmp_path_factory.mktemp("saved")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        llava = model()
        llava.save_pretrained(folder / "llava")
        llava.model.vision_tower.save_pretrained(folder / "tower")
    return llava, folder


@pytest.fixture(scope="module")
def computed(jax_outputs: Any) -> Any:
    """Return what computes with the reference of a component and the weights of a folder."""

    def compute(component: str, folder: Path, inputs: Mapping[str, Any], **more: Any) -> dict[str, Array]:
        family, weights = open_model(component, str(folder), "lwm", Options(**more), 0)
        one = family.references[0]
        found: dict[str, Array] = jax_outputs(one, component_weights(family, one, weights), inputs)
        return found

    return compute


def a_picture() -> tuple[Array, Any]:
    """Return one as both sides take it: channels last here, first in torch."""
    pixels = np.random.default_rng(0).standard_normal((2, published.SIDE, published.SIDE, 3), np.float32)
    return pixels, torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))


def test_what_transformers_saves_gives_its_numbers(saved: tuple[Any, Path], computed: Any) -> None:
    llava, folder = saved
    pixels, seen = a_picture()
    with torch.no_grad():
        states = llava.model.vision_tower(seen, output_hidden_states=True).hidden_states[-2][:, 1:]
        features = llava.model.multi_modal_projector(states)
    for name in ("tower", "llava"):
        found = computed("llava-vision", folder / name, {"pixel_values": pixels})
        np.testing.assert_allclose(found["image_embeds"], states.numpy(), rtol=0, atol=CLOSE)
    found = computed("llava-image", folder / "llava", {"pixel_values": pixels})
    np.testing.assert_allclose(found["image_features"], features.numpy(), rtol=0, atol=CLOSE)


def test_image_side_and_language_model_of_one_folder_are_the_whole(saved: tuple[Any, Path], computed: Any) -> None:
    """Words and a picture become states, then layers, then logits: transformers' class gives the same ones."""
    llava, folder = saved
    pixels, seen = a_picture()
    patches = published.POSITIONS - 1
    tokens = np.array([[1, 7, *[PICTURE] * patches, 3, 9, 4], [1, *[PICTURE] * patches, 2, 5, 6, 8]])
    with torch.no_grad():
        expected = llava(input_ids=torch.from_numpy(tokens), pixel_values=seen).logits.numpy()

    features = computed("llava-image", folder / "llava", {"pixel_values": pixels})["image_features"]
    states = computed("llama-embed", folder / "llava", {"input_ids": tokens.astype(np.int32)})["hidden_states"].copy()
    without = states.copy()
    states[tokens == PICTURE] = features.reshape(-1, published.LANGUAGE)
    found, blind = (logits(computed, folder / "llava", one) for one in (states, without))
    np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE)
    assert np.abs(blind - expected).max() > 100 * CLOSE  # the picture is seen


def logits(computed: Any, folder: Path, states: Array) -> Any:
    """Return what the layers of the language model and its head make of states."""
    batch, length, width = states.shape
    heads = int(published.TEXT["num_attention_heads"])
    empty = np.zeros((batch, heads, 0, width // heads), np.float32)
    context = {
        "attention_mask": np.ones((batch, length), np.int32),
        "position_ids": np.tile(np.arange(length, dtype=np.int32), (batch, 1)),
    }
    for layer in range(LAYERS):
        past = {f"past_key_values.{layer}.{kind}": empty for kind in ("key", "value")}
        given = {"hidden_states": states, **context, **past}
        states = computed("llama-block", folder, given, layer=layer)["new_hidden_states"]
    return computed("llama-head", folder, {"hidden_states": states})["logits"]
