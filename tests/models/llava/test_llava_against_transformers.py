"""transformers' LLaVA is the judge of LLaVA's image side: its image features, and CLIP's own hidden states."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.models.families import resolve
from lwmport.models.llava.config import CONFIGS, LlavaConfig
from lwmport.types import Array

torch = pytest.importorskip("torch", reason="PyTorch is not installed; run: pip install 'lwmport[torch]'")
transformers = pytest.importorskip("transformers", reason="run: pip install 'lwmport[torch]'")

CLOSE = 2e-5
"""Outputs of deviation 1: 4e-6 is seen, and wrong epsilons, biases and orders are above 1e-3."""

DEBUG = CONFIGS["debug"]
CASES = {
    "as it is": (DEBUG, 0),
    "other weights": (DEBUG, 1),
    "another layer, other sizes": (
        replace(
            DEBUG, hidden_size=36, num_attention_heads=3, num_hidden_layers=4, image_size=42, layer_norm_eps=1e-3,
            vision_feature_layer=-3, hidden_act="gelu", projector_hidden_act="quick_gelu", text_hidden_size=24,
        ),
        2,
    ),
    "the last layer": (replace(DEBUG, vision_feature_layer=-1), 3),
    "counted from the first": (replace(DEBUG, vision_feature_layer=1), 4),
}  # fmt: skip


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES)
def case(request: pytest.FixtureRequest) -> tuple[LlavaConfig, dict[str, Array], Any, Array]:
    """A configuration, seeded weights, transformers' LLaVA with them, and a picture."""
    config, seed = request.param
    specs = resolve("llava-image", config.to_json()).taken
    weights = {name: SeededWeights(specs, seed).read(name) for name in specs}
    shape = (2, config.image_size, config.image_size, 3)
    return config, weights, llava(config, weights), np.random.default_rng(seed).standard_normal(shape, np.float32)


def test_the_image_features_are_llavas(case: Any, jax_outputs: Any, weights_of: Any) -> None:
    config, weights, model, picture = case
    (whole,) = resolve("llava-image", config.to_json()).components
    found = jax_outputs(whole, weights_of(weights), {"pixel_values": picture})["image_features"]
    with torch.no_grad():
        said = model.get_image_features(channels_first(picture))
    expected = getattr(said, "pooler_output", said)
    np.testing.assert_allclose(found, torch.stack(list(expected)), rtol=0, atol=CLOSE)


def test_the_states_are_those_behind_the_layer_that_is_read(case: Any, jax_outputs: Any, weights_of: Any) -> None:
    config, weights, model, picture = case
    tower, projector = resolve("llava", config.to_json()).components
    states = jax_outputs(tower, weights_of(weights), {"pixel_values": picture})
    with torch.no_grad():
        told = model.model.vision_tower(channels_first(picture), output_hidden_states=True).hidden_states
        expected = told[config.vision_feature_layer][:, 1:]
        features = model.model.multi_modal_projector(expected)
    np.testing.assert_allclose(states["image_embeds"], expected, rtol=0, atol=CLOSE)
    found = jax_outputs(projector, weights_of(weights), states)["image_features"]
    np.testing.assert_allclose(found, features, rtol=0, atol=CLOSE)


def test_what_comes_behind_that_layer_is_no_weight() -> None:
    names = resolve("llava-vision", "clip-l-336").components[0].weights
    layers = {int(name.split("/")[2]) for name in names if name.startswith("vision/layers/")}
    assert layers == set(range(23))
    assert not [name for name in names if "post" in name]


def llava(config: LlavaConfig, weights: Mapping[str, Array]) -> Any:
    """Return transformers' LLaVA with weights of ours; of what we have not, with random ones."""
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size",
             "hidden_act", "layer_norm_eps")  # fmt: skip
    tower = {name: getattr(config, name) for name in names}
    text = {"model_type": "llama", "hidden_size": config.text_hidden_size, "intermediate_size": 8,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": 40}  # fmt: skip
    model = transformers.LlavaForConditionalGeneration(
        transformers.LlavaConfig(
            vision_config={"model_type": "clip_vision_model", **tower},
            text_config=text,
            vision_feature_layer=config.vision_feature_layer,
            projector_hidden_act=config.projector_hidden_act,
            image_token_index=39,
        )
    ).eval()
    state = {theirs(name): tensor(name, values) for name, values in weights.items()}
    told = model.load_state_dict(state, strict=False)
    assert told.unexpected_keys == []
    behind = ("language_model.", "lm_head.", "post_layernorm.")
    layers = tuple(f".layers.{layer}." for layer in range(config.used_layers, config.num_hidden_layers))
    assert [name for name in told.missing_keys if not any(part in name for part in (*behind, *layers))] == []
    return model


def theirs(name: str) -> str:
    """Return transformers' name of a tensor."""
    renamed = name.replace("vision/layers/", "vision/encoder/layers/")
    for own in ("class_embedding", "patch_embedding", "position_embedding"):
        renamed = renamed.replace(f"vision/{own}", f"vision/embeddings/{own}")
    renamed = renamed.replace("position_embedding", "position_embedding/weight")
    renamed = renamed.replace("vision/", "vision_tower/", 1).replace("projector/", "multi_modal_projector/", 1)
    return f"model/{renamed}".replace("/kernel", "/weight").replace("/scale", "/weight").replace("/", ".")


def tensor(name: str, values: Array) -> Any:
    if name.endswith("/kernel"):
        values = values.transpose(3, 2, 0, 1) if values.ndim == 4 else values.T
    return torch.tensor(np.ascontiguousarray(values))


def channels_first(pictures: Array) -> Any:
    return torch.tensor(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
