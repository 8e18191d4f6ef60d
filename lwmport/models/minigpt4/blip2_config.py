"""Configurations of BLIP-2 as transformers writes them, to those of MiniGPT-4's image side, which is made of it.

Source: transformers/models/blip_2/configuration_blip_2.py. ``ln_vision`` keeps the epsilon of MiniGPT-4, which no file
of transformers tells: its class normalises with the tower's.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from lwmport.errors import ConfigError
from lwmport.models.vit.foreign_config import KIND, Section, Told, kind_in

_TOWER: Final = Section(
    title="Blip2VisionConfig",
    fields={
        name: name
        for name in (
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "image_size",
            "patch_size",
            "layer_norm_eps",
        )
    },
    assumed={
        "hidden_size": 1408, "intermediate_size": 6144, "num_hidden_layers": 39, "num_attention_heads": 16,
        "image_size": 224, "patch_size": 14, "layer_norm_eps": 1e-6,
    },
    only={"hidden_act": ("gelu",), "qkv_bias": (True,), "num_channels": (3,), KIND: ("blip_2_vision_model",)},
)  # fmt: skip

_QFORMER: Final = Section(
    title="Blip2QFormerConfig",
    fields={
        name: f"qformer_{name}"
        for name in (
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "layer_norm_eps",
            "cross_attention_frequency",
        )
    },
    assumed={
        "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
        "layer_norm_eps": 1e-12, "cross_attention_frequency": 2,
    },
    only={"hidden_act": ("gelu",), "use_qformer_text_input": (False,), KIND: ("blip_2_qformer",)},
)  # fmt: skip

_WHOLE: Final = Section(
    title="Blip2Config", fields={"num_query_tokens": "num_query_tokens"}, assumed={"num_query_tokens": 32}
)

_LANGUAGE: Final = Section(title="text_config", fields={"hidden_size": "text_hidden_size"}, assumed={})


def blip2_config(values: Mapping[str, Any]) -> Told:
    """Return what a configuration of transformers says, under the names of `MiniGPT4Config`.

    Raises:
        ConfigError: it is of another model, or says what is not computed.
    """
    return _KINDS[kind_in(values, _KINDS)](values)


def _whole(values: Mapping[str, Any]) -> Told:
    tower, qformer = values.get("vision_config") or {}, values.get("qformer_config") or {}
    found = _WHOLE.read(values) | _TOWER.read(tower) | _QFORMER.read(qformer)
    width, read = found.fields["hidden_size"], qformer.get("encoder_hidden_size")
    if read not in (None, width):
        raise ConfigError(f"expected encoder_hidden_size {width} in Blip2QFormerConfig, as the tower has, found {read}")
    return found | _LANGUAGE.read(values.get("text_config") or {})


_KINDS: Final[Mapping[str, Callable[[Mapping[str, Any]], Told]]] = {
    "blip-2": _whole,
    "blip_2_vision_model": _TOWER.read,
    "blip_2_qformer": _QFORMER.read,
}
"""``model_type`` -> what reads it."""
