from dataclasses import fields
from typing import Any

import pytest

from lwmport.errors import ConfigError, PortError, UsageError
from lwmport.models.attention.ring import device_mesh
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.llama.presets import CONFIGS, VISION_CONFIGS
from lwmport.models.llama.weights import checkpoint_weights, llama_weights
from lwmport.models.options import changes

LWM_FIELDS = [
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("max_sequence_length", "rms_norm_eps", "initializer_range", "use_cache", "bos_token_id"),
    *("eos_token_id", "resid_pdrop", "embd_pdrop", "attn_pdrop", "tie_word_embeddings"),
    *("scan_attention", "scan_mlp", "scan_query_chunk_size", "scan_key_chunk_size", "scan_mlp_chunk_size"),
    *("scan_layers", "param_scan_axis", "mesh_dim", "theta"),
]

OWN = "num_key_value_heads"


def test_fields_are_lwms() -> None:
    assert [field.name for field in fields(LlamaConfig)] == [*LWM_FIELDS, OWN]
    extra = ["vision_vocab_size", "tie_vision_embeddings", "sample_mode"]
    assert [field.name for field in fields(VisionLlamaConfig)] == [*LWM_FIELDS, OWN, *extra]


@pytest.mark.parametrize(
    ("name", "millions", "positions", "epsilon"),
    [
        ("vicuna-7b", 6738, 4096, 1e-5),
        ("vicuna-13b", 13015, 4096, 1e-5),
        ("vicuna-7b-v1.1", 6738, 2048, 1e-6),
        ("vicuna-13b-v0", 13015, 2048, 1e-6),
        ("llama-2-7b", 6738, 4096, 1e-5),
        ("llama-2-70b", 68976, 4096, 1e-5),
    ],
)
def test_models_of_others_have_their_own_fields(name: str, millions: int, positions: int, epsilon: float) -> None:
    config = CONFIGS[name]
    elements = sum(spec.nbytes // 4 for spec in llama_weights(config).values())
    assert (elements // 10**6, config.max_sequence_length, config.rms_norm_eps) == (millions, positions, epsilon)
    assert (config.theta, config.bos_token_id, config.eos_token_id) == (1e4, 1, 2)


@pytest.mark.parametrize("heads", [0, -2, 3, 2.0, "2"])
def test_keys_are_shared_by_equal_groups(heads: object) -> None:
    with pytest.raises(ConfigError, match="num_key_value_heads"):
        CONFIGS["7b"].updated({"num_key_value_heads": heads})


def test_the_default_is_7b() -> None:
    assert LlamaConfig() == CONFIGS["7b"]
    assert VisionLlamaConfig() == VISION_CONFIGS["7b"]


@pytest.mark.parametrize(
    ("name", "theta", "length"),
    [
        ("lwm-text-128k", 1e7, 131072),
        ("lwm-text-256k", 1e7, 262144),
        ("lwm-text-512k", 2.5e7, 524288),
        ("lwm-text-1m", 5e7, 1048576),
        ("lwm-chat-32k", 5e7, 32768),
        ("lwm-chat-128k", 5e7, 131072),
        ("lwm-chat-1m", 5e7, 1048576),
    ],
)
def test_released_models_are_7b_with_their_own_context(name: str, theta: float, length: int) -> None:
    chat = "chat" in name
    config = VISION_CONFIGS[name] if chat else CONFIGS[name]
    assert config == (VISION_CONFIGS if chat else CONFIGS)["7b"].updated(
        {"theta": theta, "max_sequence_length": length}
    )


@pytest.mark.parametrize(
    ("name", "millions"),
    [("200m", 212), ("1b", 1244), ("3b", 3426), ("7b", 6738), ("13b", 13015), ("30b", 32528), ("65b", 65285)],
)
def test_sizes_have_the_parameters_that_their_names_say(name: str, millions: int) -> None:
    elements = sum(spec.nbytes // 4 for spec in llama_weights(CONFIGS[name]).values())
    assert elements // 10**6 == millions


def test_a_stacked_tensor_of_7b_is_the_allocation_that_users_report_failing() -> None:
    spec = checkpoint_weights(CONFIGS["7b"])["transformer/h/scan_decoder/feed_forward/w1/kernel"]
    assert spec.nbytes // 2 == 2_885_681_152


@pytest.mark.parametrize("config", [*CONFIGS.values(), *VISION_CONFIGS.values()], ids=[*CONFIGS, *VISION_CONFIGS])
def test_json_comes_back_as_it_went(config: LlamaConfig) -> None:
    assert type(config).from_json(config.to_json()) == config


def test_what_lwms_class_writes_beside_its_fields_is_passed_over() -> None:
    values = {"model_type": "video_llama", "transformers_version": "4.40.0", "sample_mode": "text"}
    assert VisionLlamaConfig.from_json(values) == VisionLlamaConfig(sample_mode="text")


def test_settings_change_single_fields() -> None:
    found = VISION_CONFIGS["debug"].updated(
        changes(["theta=50000000", "scan_mlp=false", "mesh_dim=1,1,1,-1", "sample_mode = text"])
    )
    expected = {"theta": 50000000, "scan_mlp": False, "mesh_dim": "1,1,1,-1", "sample_mode": "text"}
    assert found == VISION_CONFIGS["debug"].updated(expected)


@pytest.mark.parametrize("text", ["theta", "=1", ""])
def test_a_setting_needs_a_field_and_a_value(text: str) -> None:
    with pytest.raises(UsageError, match="field=value"):
        changes([text])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"thetta": 1.0}, "found thetta"),
        ({"hidden_size": 0}, "at least 1 as hidden_size in the LLaMA configuration, found 0"),
        ({"hidden_size": "4096"}, "a whole number as hidden_size"),
        ({"hidden_size": True}, "a whole number as hidden_size"),
        ({"hidden_size": 4100}, "an even multiple of 32 heads"),
        ({"num_hidden_layers": 2.0}, "a whole number as num_hidden_layers"),
        ({"scan_layers": 1}, "true or false as scan_layers"),
        ({"theta": float("nan")}, "a number as theta"),
        ({"theta": 1}, "a number above 1 as theta"),
        ({"rms_norm_eps": 0.0}, "a number above 0 as rms_norm_eps"),
        ({"param_scan_axis": 2}, "0 or 1 as param_scan_axis"),
        ({"mesh_dim": 4}, "a text or null as mesh_dim"),
        ({"scan_key_chunk_size": 0}, "at least 1 as scan_key_chunk_size"),
        ({"sample_mode": "text"}, "found sample_mode"),
    ],
)
def test_what_no_model_can_have_is_refused_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        LlamaConfig.from_json(values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"sample_mode": "video"}, "text or vision or all as sample_mode"), ({"vision_vocab_size": 0}, "at least 1")],
)
def test_vision_fields_are_checked_too(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VisionLlamaConfig.from_json(values)


@pytest.mark.parametrize(
    "text", ["1,1,1", "1,1,1,1,1", "a,b,c,d", "-1,-1,1,1", "0,1,1,1", "dp:1,tp:1,sp:1,xx:1", "1,1,1,64", ""]
)
def test_a_mesh_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(PortError, match="expected"):
        device_mesh(text)


@pytest.mark.parametrize("text", ["1,1,1,-1", "!1,1,1,-1", "dp:1,fsdp:1,tp:1,sp:-1"])
def test_a_mesh_is_written_as_lwm_writes_it(text: str) -> None:
    assert device_mesh(text).axis_names == ("dp", "fsdp", "tp", "sp")
