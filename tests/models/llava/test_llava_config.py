"""The configuration of LLaVA's image side: its own fields, transformers' and LLaVA's, settled by tensors."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from lwmport.errors import ConfigError
from lwmport.models.families import resolve
from lwmport.models.llava.config import ACTIVATIONS, CONFIGS, LlavaConfig
from lwmport.models.options import Options
from lwmport.models.vit import layers
from lwmport.types import WeightSpec

DEBUG = CONFIGS["debug"]
TOWER = {"model_type": "clip_vision_model", "hidden_size": 1024, "image_size": 336, "intermediate_size": 4096,
         "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14, "projection_dim": 768}  # fmt: skip
HF = {"model_type": "llava", "vision_config": TOWER, "text_config": {"model_type": "llama", "hidden_size": 5120},
      "vision_feature_layer": -2, "vision_feature_select_strategy": "default"}  # fmt: skip
OWN = {"model_type": "llava", "architectures": ["LlavaLlamaForCausalLM"], "hidden_size": 5120, "mm_hidden_size": 1024,
       "mm_vision_tower": "openai/clip-vit-large-patch14-336", "mm_projector_type": "mlp2x_gelu",
       "mm_vision_select_feature": "patch", "mm_vision_select_layer": -2, "num_hidden_layers": 40}  # fmt: skip


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_json_and_back(config: LlavaConfig) -> None:
    assert LlavaConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_what_follows_from_the_fields() -> None:
    usual = LlavaConfig()
    assert (usual.patches, usual.used_layers) == (576, 23)
    assert [replace(usual, vision_feature_layer=layer).used_layers for layer in (-1, 0, 24, -25)] == [24, 0, 24, 0]


def test_every_activation_that_a_configuration_may_name_is_computed() -> None:
    assert set(layers.ACTIVATIONS) == set(ACTIVATIONS)


@pytest.mark.parametrize("fields", [HF, OWN], ids=["of transformers", "of LLaVA"])
def test_a_file_with_a_language_model_of_13b(fields: Mapping[str, Any]) -> None:
    assert LlavaConfig.from_json(fields) == replace(LlavaConfig(), text_hidden_size=5120)


def test_files_of_clip() -> None:
    assert LlavaConfig.from_json(TOWER) == LlavaConfig()
    assert LlavaConfig.from_json({"model_type": "clip", "vision_config": TOWER, "text_config": {}}) == LlavaConfig()
    small = LlavaConfig.from_json({"model_type": "clip_vision_model"})
    assert (small.hidden_size, small.num_hidden_layers, small.patch_size) == (768, 12, 32)


def test_what_transformers_writes_itself_is_read() -> None:
    transformers = pytest.importorskip("transformers", reason="run: pip install 'lwmport[torch]'")
    for made in (transformers.LlavaConfig(), transformers.CLIPConfig(), transformers.CLIPVisionConfig()):
        LlavaConfig.from_json(json.loads(made.to_json_string()))
    assert LlavaConfig.from_json(json.loads(transformers.LlavaConfig().to_json_string())) == LlavaConfig()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"hidden_size": 2**30}, "a whole number from 1 to 16,777,216 as hidden_size"),
    ({"hidden_size": 1000}, "a multiple of 16 (num_attention_heads) as hidden_size"),
    ({"image_size": 330}, "a multiple of patch_size 14 as image_size"),
    ({"hidden_act": "silu"}, "gelu or quick_gelu as hidden_act"),
    ({"projector_hidden_act": "gelu_new"}, "gelu or quick_gelu as projector_hidden_act"),
    ({"vision_feature_layer": 25}, "a whole number from -25 to 24 (num_hidden_layers 24) as vision_feature_layer"),
    ({"vision_feature_layer": -26}, "from -25 to 24"),
    ({**HF, "vision_feature_layer": [-2, -5]}, "expected int as vision_feature_layer, found [-2, -5]"),
    ({**HF, "vision_feature_select_strategy": "full"}, "expected vision_feature_select_strategy default"),
    ({**HF, "multimodal_projector_bias": False}, "expected multimodal_projector_bias True in LlavaConfig"),
    ({**HF, "vision_config": {"model_type": "siglip_vision_model"}}, "expected model_type clip_vision_model in CLIPV"),
    ({**TOWER, "num_channels": 1}, "expected num_channels 3 in CLIPVisionConfig, found 1"),
    ({**OWN, "mm_vision_tower": "openai/clip-vit-large-patch14"}, "expected mm_vision_tower .../clip"),
    ({**OWN, "mm_vision_tower": None}, "expected mm_vision_tower .../clip-vit-large-patch14-336, found None"),
    ({**OWN, "mm_projector_type": "linear"}, "expected mm_projector_type mlp2x_gelu"),
    ({**OWN, "mm_vision_select_feature": "cls_patch"}, "expected mm_vision_select_feature patch"),
    ({"model_type": "llava_next"}, "expected model_type llava, clip"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "line"), WRONG)
def test_what_no_model_can_have_is_refused_in_a_line(fields: Mapping[str, Any], line: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(line)) as caught:
        resolve("llava-vision", fields)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_settles_what_its_shapes_tell() -> None:
    config = replace(DEBUG, text_hidden_size=28, image_size=42)
    specs = resolve("llava-image", config.to_json()).taken
    assert resolve("llava-image", specs=specs).config == config.to_json()
    thirteen = {"projector/linear_1/kernel": WeightSpec(shape=(1024, 5120), dtype="float16")}
    assert resolve("llava-projector", specs=thirteen).config["text_hidden_size"] == 5120


def test_what_was_asked_for_must_not_contradict_the_checkpoint() -> None:
    specs = resolve("llava-image", "debug").taken
    with pytest.raises(ConfigError, match="expected image_size 56 as asked for, found image_size 28 in the checkpoint"):
        resolve("llava-image", "debug", Options(settings=("image_size=56",)), specs)
    small = {**TOWER, "hidden_size": 32, "intermediate_size": 48, "image_size": 28}
    with pytest.raises(ConfigError, match="expected text_hidden_size 5120 as asked for, found text_hidden_size 20"):
        resolve("llava-projector", {**HF, "vision_config": small}, specs=specs)


def test_the_released_sizes() -> None:
    found = {part.name: sum(spec.nbytes for spec in part.weights.values()) // 4 for part in resolve("llava").components}
    assert found == {"llava-vision": 290_909_184, "llava-projector": 20_979_712}
