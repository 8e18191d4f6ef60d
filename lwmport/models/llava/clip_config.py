"""Configurations of LLaVA and of CLIP as transformers and LLaVA write them, to those of LLaVA's image side.

Source: configuration_llava.py and configuration_clip.py of transformers; llava/model/language_model/llava_llama.py of
haotian-liu/LLaVA, whose files name the tower (``mm_vision_tower``) and do not describe it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from lwmport.errors import ConfigError
from lwmport.models.vit.foreign_config import KIND, Section, Told, kind_in
from lwmport.wording import shown

TOWER: Final = "clip-vit-large-patch14-336"
"""The last part of the name of the tower that LLaVA-1.5 reads: the usual configuration."""

NAMED: Final = "mm_vision_tower"

_TOWER: Final = Section(
    title="CLIPVisionConfig",
    fields={
        name: name
        for name in (
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "image_size",
            "patch_size",
            "hidden_act",
            "layer_norm_eps",
        )
    },
    assumed={
        "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
        "image_size": 224, "patch_size": 32, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
    },
    only={"num_channels": (3,), KIND: ("clip_vision_model",)},
)  # fmt: skip

_WHOLE: Final = Section(
    title="LlavaConfig",
    fields={"vision_feature_layer": "vision_feature_layer", "projector_hidden_act": "projector_hidden_act"},
    assumed={"vision_feature_layer": -2, "projector_hidden_act": "gelu"},
    only={"vision_feature_select_strategy": ("default",), "multimodal_projector_bias": (True,)},
)

_LANGUAGE: Final = Section(
    title="text_config", fields={"hidden_size": "text_hidden_size"}, assumed={"hidden_size": 4096}
)

_OF_LLAVA: Final = Section(
    title="the configuration of LLaVA",
    fields={"mm_vision_select_layer": "vision_feature_layer", "hidden_size": "text_hidden_size",
            "mm_hidden_size": "hidden_size"},
    assumed={"mm_vision_select_layer": -2},
    only={"mm_vision_select_feature": ("patch",), "mm_projector_type": ("mlp2x_gelu",), "s2": (False,)},
)  # fmt: skip


def clip_config(values: Mapping[str, Any]) -> Told:
    """Return what a configuration of transformers or of LLaVA says, under the names of `LlavaConfig`.

    Raises:
        ConfigError: it is of another model, or says what is not computed.
    """
    if NAMED in values:
        return _of_llava(values)
    return _KINDS[kind_in(values, _KINDS)](values)


def _whole(values: Mapping[str, Any]) -> Told:
    tower = values.get("vision_config")
    seen = Told() if tower is None else _TOWER.read(tower)  # LlavaConfig then has CLIP-L at 336, as we have
    return _WHOLE.read(values) | seen | _LANGUAGE.read(values.get("text_config") or {})


def _both_towers(values: Mapping[str, Any]) -> Told:
    return _TOWER.read(values.get("vision_config") or {})


def _of_llava(values: Mapping[str, Any]) -> Told:
    tower = values[NAMED]
    if not isinstance(tower, str) or tower.rstrip("/").rpartition("/")[2] != TOWER:
        raise ConfigError(f"expected {NAMED} .../{TOWER}, found {shown(repr(tower))}")
    return _OF_LLAVA.read(values)


_KINDS: Final[Mapping[str, Callable[[Mapping[str, Any]], Told]]] = {
    "llava": _whole,
    "clip": _both_towers,
    "clip_vision_model": _TOWER.read,
}
"""``model_type`` -> what reads it."""
