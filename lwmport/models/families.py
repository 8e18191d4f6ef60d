"""Which components there are, by name, and how to configure them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lwmport.errors import ConfigError
from lwmport.registry import Registry, check_known
from lwmport.types import Component, WeightSpec

COMPONENTS: Final = Registry(
    "component",
    {
        "vqgan-decoder": "lwmport.models.vqgan_components:vqgan_decoder",
        "vqgan-encoder": "lwmport.models.vqgan_components:vqgan_encoder",
    },
)
"""Component -> ``factory(config) -> Component``."""

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {"vqgan": ("vqgan-encoder", "vqgan-decoder")}
"""Names that stand for several components -> those components."""

NAMES: Final = (*GROUPS, *COMPONENTS)


@dataclass(frozen=True, kw_only=True)
class Family:
    """One model: the components asked for, and every weight that its checkpoint must hold."""

    name: str
    components: tuple[Component, ...]
    weights: Mapping[str, WeightSpec]
    config: Mapping[str, Any]


def resolve(name: str, config: str | Mapping[str, Any] = "lwm") -> Family:
    """Return the model behind a component's or a group's name, in a configuration.

    Args:
        name: a key of `COMPONENTS` or `GROUPS`.
        config: the name of a configuration, the path of a JSON file, or the fields themselves.

    Raises:
        UsageError: an unknown name.
        ConfigError: an unreadable file, or values that no model can have.
    """
    check_known("component", name, NAMES)
    from lwmport.models.vqgan_components import vqgan_weights
    from lwmport.models.vqgan_config import CONFIGS, VQGANConfig

    if isinstance(config, str) and not _is_file(config):
        check_known("configuration or .json file", config, CONFIGS)
        chosen = CONFIGS[config]
    else:
        chosen = VQGANConfig.from_json(_fields(config))
    components = tuple(COMPONENTS[part](chosen) for part in GROUPS.get(name, (name,)))
    return Family(name="vqgan", components=components, weights=vqgan_weights(chosen), config=chosen.to_json())


def _is_file(text: str) -> bool:
    return text.endswith(".json") or "/" in text


def _fields(config: str | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of a configuration file, or the fields as they are."""
    if not isinstance(config, str):
        return config
    try:
        values = json.loads(Path(config).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"expected a JSON file with a configuration at {config}, found: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"expected a JSON object in {config}, found {type(values).__name__}")
    return values
