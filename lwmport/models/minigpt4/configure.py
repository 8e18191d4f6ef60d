"""The configuration of MiniGPT-4's image side: what was asked for, and what the tensors of a checkpoint decide."""

from collections.abc import Mapping
from typing import Any, Final

from lwmport.models.minigpt4.blip2_config import blip2_config
from lwmport.models.minigpt4.config import CONFIGS, JOINED, MiniGPT4Config
from lwmport.models.options import Options
from lwmport.models.vit.configure import configured, side, sizes
from lwmport.models.vit.foreign_config import is_foreign
from lwmport.types import WeightSpec

POSITIONS: Final = "vit/pos_embed"
PROJECTION: Final = "llama_proj/kernel"

_FIRST: Final = "qformer/layer/0"
_PLACES: Final = {
    "hidden_size": (("ln_vision/scale", 0), (POSITIONS, 2), (f"{_FIRST}/crossattention/self/key/kernel", 0)),
    "intermediate_size": (("vit/blocks/0/mlp/fc1/kernel", 1),),
    "patch_size": (("vit/patch_embed/proj/kernel", 0),),
    "qformer_hidden_size": (("query_tokens", 2), ("qformer/embeddings/LayerNorm/scale", 0)),
    "qformer_intermediate_size": ((f"{_FIRST}/intermediate_query/dense/kernel", 1),),
    "num_query_tokens": (("query_tokens", 1),),
    "text_hidden_size": ((PROJECTION, 1),),
}
"""Field -> tensors and axes of its size."""


def names(_: str) -> tuple[str, ...]:
    """Return the names of the configurations, which every component has."""
    return tuple(CONFIGS)


def configure(
    config: str | Mapping[str, Any],
    options: Options,
    *,
    part: str = "",
    specs: Mapping[str, WeightSpec] | None = None,
) -> MiniGPT4Config:
    """Return the configuration of the image side.

    Args:
        config: the name of a configuration or the fields of one.
        options: its ``settings`` are on top of the configuration.
        part: any component: all have the same configuration.
        specs: the tensors of a checkpoint, which settle sizes and whether there is a Q-Former.

    Raises:
        UsageError: an unknown configuration, or settings that no model can have.
        ConfigError: values that no model can have, or that the checkpoint contradicts.
    """
    del part
    return configured(CONFIGS, config, options, lambda base: _told(base, specs or {}), _said)


def _said(values: Mapping[str, Any]) -> frozenset[str]:
    if not is_foreign(values):
        return frozenset(values)
    told = blip2_config(values)
    return frozenset(told.fields) - told.assumed


def _told(config: MiniGPT4Config, specs: Mapping[str, WeightSpec]) -> dict[str, Any]:
    """Return the fields that the tensors tell."""
    found: dict[str, Any] = sizes(specs, _PLACES)
    positions = sizes(specs, {"positions": ((POSITIONS, 1),)})
    if positions:
        found |= side(positions["positions"], found.get("patch_size", config.patch_size))
    read = sizes(specs, {"read": ((PROJECTION, 0),)}).get("read")
    with_it = found.get("qformer_hidden_size", config.qformer_hidden_size)
    without = JOINED * found.get("hidden_size", config.hidden_size)
    if read in {with_it, without}:
        found["has_qformer"] = read == with_it
    return found
