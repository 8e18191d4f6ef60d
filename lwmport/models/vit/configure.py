"""The configuration of an image side: what was asked for, and what the shapes of a checkpoint decide.

Shapes do not tell how many heads there are, nor an epsilon. Nor do they tell how many layers are computed: files hold
more than that.
"""

from collections.abc import Callable, Collection, Mapping
from math import isqrt
from typing import Any, TypeVar

from lwmport.errors import ConfigError
from lwmport.models.options import Options, changed, changes
from lwmport.models.vit.checks import TowerConfig
from lwmport.registry import check_known
from lwmport.types import WeightSpec

_Config = TypeVar("_Config", bound=TowerConfig)

USUAL = "lwm"
"""What stands for the usual configuration where none is named (`lwmport.models.families.USUAL`)."""


def configured(
    configs: Mapping[str, _Config],
    config: str | Mapping[str, Any],
    options: Options,
    told: Callable[[_Config], Mapping[str, Any]],
    said: Callable[[Mapping[str, Any]], Collection[str]],
) -> _Config:
    """Return a configuration with what a checkpoint tells in the place of what nobody asked for.

    Args:
        configs: by name, the usual one first.
        config: the name of one, or fields.
        options: its ``settings`` are on top.
        told: what the tensors of a checkpoint tell beside a configuration; nothing without a checkpoint.
        said: which fields of a configuration its file says.

    Raises:
        UsageError: an unknown name, or settings that no model can have.
        ConfigError: values that no model can have, or that the checkpoint contradicts.
    """
    if isinstance(config, str):
        check_known("configuration or .json file", config, [USUAL, *configs])
        base = _fitting(configs, told) if config == USUAL else configs[config]
        fixed = set() if config == USUAL else {"hidden_size", "intermediate_size"}
    else:
        base = type(next(iter(configs.values()))).from_json(config)
        fixed = set(said(config))
    base = changed(base, options.settings)
    return _settled(base, told(base), {*fixed, *changes(options.settings)})


def _fitting(configs: Mapping[str, _Config], told: Callable[[_Config], Mapping[str, Any]]) -> _Config:
    """Return the first configuration of whose tower a checkpoint tells nothing else; the usual one if none is so."""
    widths = ("hidden_size", "intermediate_size")
    for config in configs.values():
        found = told(config)
        if all(found.get(name, getattr(config, name)) == getattr(config, name) for name in widths):
            return config
    return next(iter(configs.values()))


def _settled(config: _Config, found: Mapping[str, Any], fixed: Collection[str]) -> _Config:
    """Return a configuration with the fields that a checkpoint tells."""
    wrong = [name for name in sorted(fixed) if name in found and getattr(config, name) != found[name]]
    if wrong:
        asked = ", ".join(f"{name} {getattr(config, name)}" for name in wrong)
        held = ", ".join(f"{name} {found[name]}" for name in wrong)
        raise ConfigError(f"expected {asked} as asked for, found {held} in the checkpoint; leave it out or change it")
    return config.from_json({**config.to_json(), **found})


def sizes(specs: Mapping[str, WeightSpec], places: Mapping[str, tuple[tuple[str, int], ...]]) -> dict[str, int]:
    """Return the fields that tensors tell: field -> the tensors and axes that have its size, the first found counts."""
    found: dict[str, int] = {}
    for field, where in places.items():
        for name, axis in where:
            if name in specs and len(specs[name].shape) > axis:
                found.setdefault(field, specs[name].shape[axis])
    return found


def side(positions: int, patch: int) -> dict[str, int]:
    """Return the size of the pictures of a table of positions, if it is one of a square and of a class token."""
    across = isqrt(max(positions - 1, 0))
    return {"image_size": across * patch} if across and across**2 == positions - 1 else {}
