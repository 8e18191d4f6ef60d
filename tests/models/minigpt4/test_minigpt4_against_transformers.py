"""transformers' BLIP-2 judges MiniGPT-4's image side: its tower, but for an epsilon, and its Q-Former."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.models.families import resolve
from lwmport.models.minigpt4.config import CONFIGS, MiniGPT4Config
from lwmport.types import Array

torch = pytest.importorskip("torch", reason="PyTorch is not installed; run: pip install 'lwmport[torch]'")
transformers = pytest.importorskip("transformers", reason="run: pip install 'lwmport[torch]'")

CLOSE = 2e-5
"""Outputs of deviation 1: 4e-6 is seen, and wrong epsilons, biases and orders are above 1e-3."""

DEBUG = CONFIGS["debug"]
CASES = {
    "as it is": (DEBUG, 0),
    "other weights": (DEBUG, 1),
    "more layers, other sizes": (
        replace(
            DEBUG, hidden_size=36, num_attention_heads=3, num_hidden_layers=3, image_size=42, layer_norm_eps=1e-3,
            qformer_hidden_size=32, qformer_num_hidden_layers=5, qformer_num_attention_heads=4,
            qformer_cross_attention_frequency=3, qformer_layer_norm_eps=1e-2, num_query_tokens=7,
        ),
        2,
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES)
def case(request: pytest.FixtureRequest, jax_outputs: Any) -> tuple[MiniGPT4Config, dict[str, Array], dict[str, Array]]:
    """A configuration, seeded weights, and what the components give for a picture, one after the other."""
    config, seed = request.param
    family = resolve("minigpt4", config.to_json())
    seeded = SeededWeights(family.taken, seed)
    shape = (2, config.image_size, config.image_size, 3)
    values: dict[str, Any] = {"pixel_values": np.random.default_rng(seed).standard_normal(shape, np.float32)}
    for part in family.components:
        values |= jax_outputs(part, seeded, {spec.name: values[spec.name] for spec in part.signature.inputs})
    return config, {name: seeded.read(name) for name in seeded.specs}, values


def test_the_tower_and_its_last_norm_are_blip2s(case: Any) -> None:
    config, weights, values = case
    model = tower(config, weights)
    with torch.no_grad():
        found = model(channels_first(values["pixel_values"])).last_hidden_state
    np.testing.assert_allclose(values["image_embeds"], found, rtol=0, atol=CLOSE)


def test_the_last_norm_has_an_epsilon_of_its_own(jax_outputs: Any, weights_of: Any) -> None:
    """At small states epsilons tell: with the tower's, the last norm gives something else."""
    family = resolve("minigpt4-vision", "debug")
    weights = {name: SeededWeights(family.taken, 3).read(name) for name in family.taken}
    small = {name: w * np.float32(0.01) if name.split("/")[0] == "vit" else w for name, w in weights.items()}
    picture = np.zeros((1, 28, 28, 3), np.float32)
    (component,) = family.components
    ours = jax_outputs(component, weights_of(small), {"pixel_values": picture})["image_embeds"]
    model = tower(DEBUG, small)
    with torch.no_grad():
        same = model(channels_first(picture)).last_hidden_state.numpy()
        model.post_layernorm.eps = DEBUG.layer_norm_eps
        other = model(channels_first(picture)).last_hidden_state.numpy()
    np.testing.assert_allclose(ours, same, rtol=0, atol=CLOSE)
    assert np.abs(ours - other).max() > 100 * CLOSE


def test_the_qformer_is_blip2s(case: Any) -> None:
    config, weights, values = case
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "layer_norm_eps",
             "cross_attention_frequency")  # fmt: skip
    fields = {name: getattr(config, f"qformer_{name}") for name in names}
    model = transformers.Blip2QFormerModel(
        transformers.Blip2QFormerConfig(**fields, encoder_hidden_size=config.hidden_size)
    ).eval()
    model.load_state_dict(as_torch(weights, qformer_name), strict=True)
    queries = torch.tensor(weights["query_tokens"]).expand(2, -1, -1)
    with torch.no_grad():
        found = model(query_embeds=queries, encoder_hidden_states=torch.tensor(values["image_embeds"]))
    np.testing.assert_allclose(values["query_output"], found.last_hidden_state, rtol=0, atol=CLOSE)


def test_the_projection_is_a_linear_map(case: Any) -> None:
    _, weights, values = case
    expected = values["query_output"] @ weights["llama_proj/kernel"] + weights["llama_proj/bias"]
    np.testing.assert_allclose(values["image_features"], expected, rtol=0, atol=CLOSE)


def test_the_whole_is_its_parts(case: Any, jax_outputs: Any, weights_of: Any) -> None:
    config, weights, values = case
    (whole,) = resolve("minigpt4-image", config.to_json()).components
    found = jax_outputs(whole, weights_of(weights), {"pixel_values": values["pixel_values"]})
    np.testing.assert_allclose(found["image_features"], values["image_features"], rtol=0, atol=CLOSE)


def test_four_neighbours_are_joined_where_there_is_no_qformer() -> None:
    """As ``image_embeds[:, 1:, :]`` and ``view(bs, pn / 4, hs * 4)`` of MiniGPT-4 do it."""
    config = replace(DEBUG, has_qformer=False, image_size=56)
    (part,) = resolve("minigpt4-projection", config.to_json()).components
    weights = {name: SeededWeights(part.weights, 0).read(name) for name in part.weights}
    states = np.random.default_rng(0).standard_normal((2, 17, 32), np.float32)
    found = part.apply(weights, {"image_embeds": states})["image_features"]
    joined = states[:, 1:].reshape(2, 4, 128)
    np.testing.assert_array_equal(joined[1, 2, 32:64], states[1, 1 + 4 * 2 + 1])
    expected = joined @ weights["llama_proj/kernel"] + weights["llama_proj/bias"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE)


def tower(config: MiniGPT4Config, weights: Mapping[str, Array]) -> Any:
    """Return transformers' tower with weights of ours and MiniGPT-4's epsilon of the last norm."""
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size",
             "patch_size", "layer_norm_eps")  # fmt: skip
    model = transformers.Blip2VisionModel(
        transformers.Blip2VisionConfig(**{name: getattr(config, name) for name in names})
    ).eval()
    state = as_torch(weights, tower_name)
    for layer in range(config.num_hidden_layers):
        query, value = (weights[f"vit/blocks/{layer}/attn/{name}_bias"] for name in "qv")
        bias = np.concatenate([query, np.zeros_like(query), value])
        state[f"encoder.layers.{layer}.self_attn.qkv.bias"] = torch.tensor(bias)
    model.load_state_dict(state, strict=True)
    model.post_layernorm.eps = config.post_norm_eps
    return model


def tower_name(name: str) -> str | None:
    if name.startswith("ln_vision/"):
        return name.replace("ln_vision/", "post_layernorm/")
    if not name.startswith("vit/") or name.endswith(("q_bias", "v_bias")):
        return None
    found = name.removeprefix("vit/")
    for ours, theirs in {
        "cls_token": "embeddings/class_embedding", "pos_embed": "embeddings/position_embedding",
        "patch_embed/proj": "embeddings/patch_embedding", "blocks/": "encoder/layers/", "norm1": "layer_norm1",
        "norm2": "layer_norm2", "/attn/proj": "/self_attn/projection", "/attn/": "/self_attn/",
    }.items():  # fmt: skip
        found = found.replace(ours, theirs)
    return found


def qformer_name(name: str) -> str | None:
    if not name.startswith("qformer/"):
        return None
    found = name.removeprefix("qformer/").replace("embeddings/LayerNorm", "layernorm").replace("self/", "attention/")
    return f"encoder/{found}" if found.startswith("layer/") else found


def as_torch(weights: Mapping[str, Array], renamed: Any) -> dict[str, Any]:
    """Return weights as tensors of torch, by the names and in the layouts of transformers."""
    found = {}
    for name, values in weights.items():
        theirs = renamed(name)
        if theirs is None:
            continue
        if name.endswith("/kernel"):
            values = values.transpose(3, 2, 0, 1) if values.ndim == 4 else values.T  # noqa: PLW2901
        dotted = theirs.replace("/kernel", "/weight").replace("/scale", "/weight").replace("/", ".")
        found[dotted] = torch.tensor(np.ascontiguousarray(values))
    return found


def channels_first(pictures: Array) -> Any:
    return torch.tensor(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
