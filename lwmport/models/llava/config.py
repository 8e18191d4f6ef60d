"""Configurations of LLaVA's image side, strictly read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from lwmport.models.llava.clip_config import clip_config
from lwmport.models.vit.checks import TowerConfig
from lwmport.models.vit.foreign_config import is_foreign

ACTIVATIONS: Final = ("gelu", "quick_gelu")
"""The activations that are computed: with erf, and CLIP's own."""


@dataclass(frozen=True, kw_only=True)
class LlavaConfig(TowerConfig):
    """CLIP ViT-L/14 at 336 pixels and a projector of two linear maps; the defaults are LLaVA-1.5's with a 7B model.

    The tower has the names of transformers' ``CLIPVisionConfig``, the rest those of ``LlavaConfig``.

    Attributes:
        vision_feature_layer: whose states are read: 0 is what the first layer reads, -1 what the last one gives.
        text_hidden_size: channels of the language model.

    Raises:
        ConfigError: values that no model can have.
    """

    title: ClassVar[str] = "LLaVA"

    hidden_size: int = 1024
    intermediate_size: int = 4096
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    image_size: int = 336
    patch_size: int = 14
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5
    vision_feature_layer: int = -2
    text_hidden_size: int = 4096
    projector_hidden_act: str = "gelu"

    def __post_init__(self) -> None:
        """Refuse what no model can have."""
        self._expect_sizes(_SIZES)
        self._expect_layers("num_hidden_layers")
        self._expect_heads("hidden_size", "num_attention_heads")
        self._expect_epsilon("layer_norm_eps")
        self._expect_patches()
        for name in ("hidden_act", "projector_hidden_act"):
            self._expect(name, " or ".join(ACTIVATIONS), lambda value: value in ACTIVATIONS)
        layers = self.num_hidden_layers
        self._expect(
            "vision_feature_layer",
            f"a whole number from {-layers - 1} to {layers} (num_hidden_layers {layers})",
            lambda value: type(value) is int and -layers - 1 <= value <= layers,
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the configuration of a JSON object: these fields, or a file of transformers for LLaVA or CLIP.

        Raises:
            ConfigError: an unknown field, a value of the wrong type, or what is not computed.
        """
        return super().from_json(clip_config(values).fields if is_foreign(values) else values)

    @property
    def patches(self) -> int:
        """Patches of a picture, and tokens that the language model gets of it: 576 of 336 pixels."""
        return (self.image_size // self.patch_size) ** 2

    @property
    def used_layers(self) -> int:
        """Layers that are computed: 23 of 24 in the released models."""
        layer = self.vision_feature_layer
        return layer if layer >= 0 else self.num_hidden_layers + 1 + layer


_SIZES: Final = (
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "image_size",
    "patch_size",
    "text_hidden_size",
)

CONFIGS: Final = {
    "clip-l-336": LlavaConfig(),
    "debug": LlavaConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=2, image_size=28,
        text_hidden_size=20,
    ),
}  # fmt: skip
"""Named configurations: the released tower, and one small enough for a test."""
