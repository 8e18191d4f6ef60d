"""Named LLaMA configurations: LWM's sizes, and its released context lengths."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig

_Config = TypeVar("_Config", bound=LlamaConfig)

_NAMES: Final = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_sequence_length",
    "rms_norm_eps",
)
_TABLE: Final = {
    "200m": (1024, 2048, 14, 8, 2048, 1e-6),
    "1b": (2048, 5504, 22, 16, 2048, 1e-6),
    "3b": (3200, 8640, 26, 32, 2048, 1e-6),
    "7b": (4096, 11008, 32, 32, 4096, 1e-6),
    "13b": (5120, 13824, 40, 40, 2048, 1e-6),
    "30b": (6656, 17920, 60, 52, 2048, 1e-6),
    "65b": (8192, 22016, 80, 64, 2048, 1e-5),
    "debug": (256, 256, 2, 2, 2048, 1e-6),
}
"""LWM's own table of sizes, in the order of `_NAMES`; every one has 32,000 tokens and untied heads."""

SIZES: Final[Mapping[str, Mapping[str, Any]]] = {
    name: dict(zip(_NAMES, values, strict=True)) for name, values in _TABLE.items()
}
"""Size -> the fields that it sets."""

TEXT: Final[Mapping[str, Mapping[str, Any]]] = {
    "lwm-text-128k": {"theta": 1e7, "max_sequence_length": 2**17},
    "lwm-text-256k": {"theta": 1e7, "max_sequence_length": 2**18},
    "lwm-text-512k": {"theta": 2.5e7, "max_sequence_length": 2**19},
    "lwm-text-1m": {"theta": 5e7, "max_sequence_length": 2**20},
}
"""Released text models, all of 7B -> base of the rotary angles and tokens, as LWM's model card lists them."""

CHAT: Final[Mapping[str, Mapping[str, Any]]] = {
    "lwm-chat-32k": {"theta": 5e7, "max_sequence_length": 2**15},
    "lwm-chat-128k": {"theta": 5e7, "max_sequence_length": 2**17},
    "lwm-chat-1m": {"theta": 5e7, "max_sequence_length": 2**20},
}
"""Released vision-language models, all of 7B -> the same."""


def _named(cls: type[_Config], presets: Mapping[str, Mapping[str, Any]]) -> dict[str, _Config]:
    released = {name: {**SIZES["7b"], **values} for name, values in presets.items()}
    return {name: cls.from_json(values) for name, values in {**SIZES, **released}.items()}


_ENDS: Final = {"bos_token_id": 1, "eos_token_id": 2}

_FIRST: Final = {**_ENDS, "max_sequence_length": 2048, "rms_norm_eps": 1e-6}
"""LLaMA's first release: positions, epsilon and tokens."""

_SECOND: Final = {**_ENDS, "max_sequence_length": 4096, "rms_norm_eps": 1e-5}
"""LLaMA-2's."""

OTHERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "vicuna-7b-v0": {**SIZES["7b"], **_FIRST, "vocab_size": 32001},
    "vicuna-13b-v0": {**SIZES["13b"], **_FIRST, "vocab_size": 32001},
    "vicuna-7b-v1.1": {**SIZES["7b"], **_FIRST},
    "vicuna-13b-v1.1": {**SIZES["13b"], **_FIRST},
    "vicuna-7b": {**SIZES["7b"], **_SECOND},
    "vicuna-13b": {**SIZES["13b"], **_SECOND},
    "llama-2-7b": {**SIZES["7b"], **_SECOND},
    "llama-2-13b": {**SIZES["13b"], **_SECOND},
    "llama-2-70b": {
        **SIZES["65b"],
        **_SECOND,
        "intermediate_size": 28672,
        "num_key_value_heads": 8,
    },
}
"""Text models of others -> their fields. ``vicuna-7b`` and ``-13b`` are v1.5, which begins with LLaMA-2; v0 and v1.1
begin with LLaMA. Sources: FastChat, docs/vicuna_weights_version.md; the models' ``config.json``; Touvron et al.,
arXiv:2307.09288, table 1."""

CONFIGS: Final[Mapping[str, LlamaConfig]] = {
    **{name: LlamaConfig.from_json(values) for name, values in OTHERS.items()},
    **_named(LlamaConfig, TEXT),
}
"""Configurations of ``llama`` by name."""

VISION_CONFIGS: Final[Mapping[str, VisionLlamaConfig]] = _named(VisionLlamaConfig, CHAT)
"""Configurations of ``vision-llama`` by name."""
