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


CONFIGS: Final[Mapping[str, LlamaConfig]] = _named(LlamaConfig, TEXT)
"""Configurations of ``llama`` by name."""

VISION_CONFIGS: Final[Mapping[str, VisionLlamaConfig]] = _named(VisionLlamaConfig, CHAT)
"""Configurations of ``vision-llama`` by name."""
