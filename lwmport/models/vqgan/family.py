"""The VQGAN as a family: its configurations and its halves by name."""

from collections.abc import Mapping
from typing import Any

from lwmport.models.options import Options, changed
from lwmport.models.vqgan.components import vqgan_decoder, vqgan_encoder, vqgan_weights
from lwmport.models.vqgan.config import CONFIGS, VQGANConfig
from lwmport.registry import check_known
from lwmport.types import Component, WeightSpec

FACTORIES = {"vqgan-decoder": vqgan_decoder, "vqgan-encoder": vqgan_encoder}


class VQGANFamily:
    """The VQGAN in one configuration (`lwmport.models.families.Builder`).

    Raises:
        UsageError: an unknown configuration, or settings that no model can have.
        ConfigError: values that no model can have.
    """

    name = "vqgan"
    sources: Mapping[str, Any] = {}

    def __init__(self, config: str | Mapping[str, Any], options: Options, **_: Any) -> None:
        if isinstance(config, str):
            check_known("configuration or .json file", config, CONFIGS)
            config = CONFIGS[config].to_json()
        self._config = changed(VQGANConfig.from_json(config), options.settings)

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration as plain JSON values."""
        return self._config.to_json()

    @property
    def weights(self) -> Mapping[str, WeightSpec]:
        """Every tensor that a checkpoint must hold."""
        return vqgan_weights(self._config)

    def component(self, name: str) -> Component:
        """Return one half in float32."""
        return FACTORIES[name](self._config)
