"""The configuration of MiniGPT-4's image side: its own fields and transformers', strictly read, settled by tensors."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from lwmport.errors import ConfigError, UsageError
from lwmport.models.families import resolve
from lwmport.models.minigpt4.config import CONFIGS, MiniGPT4Config
from lwmport.models.options import Options
from lwmport.types import WeightSpec

DEBUG = CONFIGS["debug"]
TOWER = {"model_type": "blip_2_vision_model", "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 3}
BLIP2 = {
    "model_type": "blip-2",
    "architectures": ["Blip2ForConditionalGeneration"],
    "num_query_tokens": 16,
    "vision_config": TOWER,
    "qformer_config": {"encoder_hidden_size": 64, "num_hidden_layers": 4, "hidden_act": "gelu"},
    "text_config": {"model_type": "opt", "hidden_size": 2560},
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_json_and_back(config: MiniGPT4Config) -> None:
    assert MiniGPT4Config.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_what_follows_from_the_fields() -> None:
    usual = MiniGPT4Config()
    assert (usual.patches, usual.tokens) == (256, 32)
    assert replace(usual, has_qformer=False).tokens == 64


def test_a_file_of_transformers_for_the_whole_and_for_the_tower() -> None:
    expected = replace(MiniGPT4Config(), hidden_size=64, num_attention_heads=4, num_hidden_layers=3)
    assert MiniGPT4Config.from_json(TOWER) == expected
    assert MiniGPT4Config.from_json(BLIP2) == replace(
        expected, num_query_tokens=16, qformer_num_hidden_layers=4, text_hidden_size=2560
    )
    assert MiniGPT4Config.from_json({"model_type": "blip-2"}) == MiniGPT4Config()


def test_what_transformers_writes_itself_is_read() -> None:
    transformers = pytest.importorskip("transformers", reason="run: pip install 'lwmport[torch]'")
    found = MiniGPT4Config.from_json(json.loads(transformers.Blip2Config().to_json_string()))
    assert found == replace(MiniGPT4Config(), text_hidden_size=768)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"hidden_size": 0}, "a whole number from 1 to 16,777,216 as hidden_size"),
    ({"hidden_size": 2**40}, "a whole number from 1 to 16,777,216 as hidden_size"),
    ({"hidden_size": "64"}, "expected int as hidden_size, found '64'"),
    ({"hidden_size": 1409}, "a multiple of 16 (num_attention_heads) as hidden_size"),
    ({"num_hidden_layers": 10**6}, "from 1 to 1,000 as num_hidden_layers"),
    ({"qformer_num_hidden_layers": 0}, "from 1 to 1,000 as qformer_num_hidden_layers"),
    ({"image_size": 225}, "a multiple of patch_size 14 as image_size"),
    ({"image_size": 2**24, "patch_size": 1}, "at most 4,095 patches of 1 as image_size"),
    ({"image_size": 70, "has_qformer": False}, "a picture whose patches are a multiple of 4 as image_size"),
    ({"post_norm_eps": 0}, "a number above 0 and below 1 as post_norm_eps"),
    ({"layer_norm_eps": float("nan")}, "a number above 0 and below 1 as layer_norm_eps"),
    ({"has_qformer": 1}, "expected bool as has_qformer, found 1"),
    ({"hiden_size": 3}, "hidden_size, .*found hiden_size"),
    ({**TOWER, "hidden_act": "quick_gelu"}, "expected hidden_act gelu in Blip2VisionConfig, found 'quick_gelu'"),
    ({**TOWER, "qkv_bias": False}, "expected qkv_bias True in Blip2VisionConfig, found False"),
    ({**TOWER, "qkv_bias": 1}, "expected qkv_bias True in Blip2VisionConfig, found 1"),
    ({**TOWER, "model_type": "siglip_vision_model"}, "expected model_type blip-2, .*found 'siglip_vision_model'"),
    ({**TOWER, "model_type": []}, "expected model_type blip-2, .*found []"),
    ({**BLIP2, "vision_config": 3}, "expected an object as Blip2VisionConfig, found"),
    ({**BLIP2, "qformer_config": [3]}, "expected an object as Blip2QFormerConfig, found"),
    ({**BLIP2, "qformer_config": {"encoder_hidden_size": 32}}, "expected encoder_hidden_size 64"),
    ({**BLIP2, "qformer_config": {"use_qformer_text_input": True}}, "expected use_qformer_text_input False"),
    ({**BLIP2, "text_config": {"hidden_size": "wide"}}, "expected int as text_hidden_size, found 'wide'"),
]


@pytest.mark.parametrize(("fields", "line"), WRONG)
def test_what_no_model_can_have_is_refused_in_a_line(fields: Mapping[str, Any], line: str) -> None:
    pattern = ".*".join(map(re.escape, line.split(".*")))
    with pytest.raises(ConfigError, match=pattern) as caught:
        resolve("minigpt4-vision", fields)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_settles_what_its_shapes_tell() -> None:
    config = replace(DEBUG, text_hidden_size=28, num_query_tokens=5, image_size=42)
    specs = resolve("minigpt4-image", config.to_json()).taken
    assert resolve("minigpt4-image", specs=specs).config == config.to_json()
    assert resolve("minigpt4-image", "debug", specs=specs).config == config.to_json()


def test_a_projection_tells_whether_there_is_a_qformer() -> None:
    thirteen = {"llama_proj/kernel": WeightSpec(shape=(768, 5120), dtype="float32")}
    found = resolve("minigpt4-projection", specs=thirteen).config
    assert (found["has_qformer"], found["text_hidden_size"]) == (True, 5120)
    joined = {"llama_proj/kernel": WeightSpec(shape=(5632, 4096), dtype="float32")}
    (part,) = resolve("minigpt4-projection", specs=joined).components
    assert [spec.shape for spec in part.signature.inputs] == [("batch", 257, 1408)]
    assert [spec.shape for spec in part.signature.outputs] == [("batch", 64, 4096)]


def test_what_was_asked_for_must_not_contradict_the_checkpoint() -> None:
    specs = resolve("minigpt4-image", "debug").taken
    with pytest.raises(ConfigError, match="expected text_hidden_size 40 as asked for, found text_hidden_size 20 in"):
        resolve("minigpt4-image", "debug", Options(settings=("text_hidden_size=40",)), specs)
    with pytest.raises(ConfigError, match="expected hidden_size 1408, intermediate_size 6144 as asked for, found"):
        resolve("minigpt4-image", "eva-g", specs=specs)
    with pytest.raises(ConfigError, match="expected hidden_size 64 as asked for, found hidden_size 32"):
        resolve("minigpt4-image", TOWER, specs=specs)
    with pytest.raises(UsageError, match=r"expected a configuration or .json file out of .*did you mean 'eva-g'"):
        resolve("minigpt4-image", "evag")


def test_a_model_without_a_qformer_has_no_such_part() -> None:
    options = Options(settings=("has_qformer=false",))
    family = resolve("minigpt4", "debug", options)
    assert [part.name for part in family.components] == ["minigpt4-vision", "minigpt4-projection"]
    assert not [name for name in family.weights if name.startswith(("q_former", "qformer", "query_tokens"))]
    with pytest.raises(ConfigError, match="expected has_qformer true for minigpt4-qformer, found false"):
        resolve("minigpt4-qformer", "debug", options)


def test_the_released_sizes() -> None:
    """Parameters as the files of MiniGPT-4 and BLIP-2 hold them: EVA's 39 blocks and ln_vision, the Q-Former."""
    parts = resolve("minigpt4").components
    found = {part.name: sum(spec.nbytes for spec in part.weights.values()) // 4 for part in parts}
    assert found == {
        "minigpt4-vision": 985_897_344,
        "minigpt4-qformer": 105_162_240,
        "minigpt4-projection": 3_149_824,
    }
