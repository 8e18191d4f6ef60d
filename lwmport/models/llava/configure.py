"""The configuration of LLaVA's image side: what was asked for, and what the tensors of a checkpoint decide."""

from collections.abc import Mapping
from typing import Any, Final

from lwmport.models.llava.clip_config import clip_config
from lwmport.models.llava.config import CONFIGS, LlavaConfig
from lwmport.models.options import Options
from lwmport.models.vit.configure import configured, side, sizes
from lwmport.models.vit.foreign_config import is_foreign
from lwmport.types import WeightSpec

POSITIONS: Final = "vision/position_embedding"

_PLACES: Final = {
    "hidden_size": (("vision/class_embedding", 0), (POSITIONS, 1), ("projector/linear_1/kernel", 0)),
    "intermediate_size": (("vision/layers/0/mlp/fc1/kernel", 1),),
    "patch_size": (("vision/patch_embedding/kernel", 0),),
    "text_hidden_size": (("projector/linear_2/kernel", 1), ("projector/linear_1/kernel", 1)),
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
) -> LlavaConfig:
    """Return the configuration of the image side.

    Args:
        config: the name of a configuration or the fields of one.
        options: its ``settings`` are on top of the configuration.
        part: any component: all have the same configuration.
        specs: the tensors of a checkpoint, which settle sizes.

    Raises:
        UsageError: an unknown configuration, or settings that no model can have.
        ConfigError: values that no model can have, or that the checkpoint contradicts.
    """
    del part
    return configured(CONFIGS, config, options, lambda base: _told(base, specs or {}), _said)


def _said(values: Mapping[str, Any]) -> frozenset[str]:
    if not is_foreign(values):
        return frozenset(values)
    told = clip_config(values)
    return frozenset(told.fields) - told.assumed


def _told(config: LlavaConfig, specs: Mapping[str, WeightSpec]) -> dict[str, Any]:
    """Return the fields that the tensors tell."""
    found: dict[str, Any] = sizes(specs, _PLACES)
    positions = sizes(specs, {"positions": ((POSITIONS, 0),)})
    if positions:
        found |= side(positions["positions"], found.get("patch_size", config.patch_size))
    return found
