"""Configurations of MiniGPT-4's image side, strictly read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from lwmport.models.minigpt4.blip2_config import blip2_config
from lwmport.models.vit.checks import TowerConfig
from lwmport.models.vit.foreign_config import is_foreign

JOINED: Final = 4
"""Neighbouring patches that become one token without a Q-Former (``img_f_dim`` in minigpt4/models/minigpt4.py)."""


@dataclass(frozen=True, kw_only=True)
class MiniGPT4Config(TowerConfig):
    """EVA ViT-g, its last norm, the Q-Former of BLIP-2 and a linear map; the defaults are MiniGPT-4's with a 7B model.

    The tower has the names of transformers' ``Blip2VisionConfig``, the Q-Former those of ``Blip2QFormerConfig``.

    Attributes:
        post_norm_eps: of ``ln_vision``, which is torch's default and not the tower's (minigpt4/models/base_model.py).
        qformer_cross_attention_frequency: every so many layers, from the first on, look at the picture.
        has_qformer: without it the class token is dropped, and each 4 neighbouring patches become a token.
        text_hidden_size: channels of the language model.

    Raises:
        ConfigError: values that no model can have.
    """

    title: ClassVar[str] = "MiniGPT-4"

    hidden_size: int = 1408
    intermediate_size: int = 6144
    num_hidden_layers: int = 39
    num_attention_heads: int = 16
    image_size: int = 224
    patch_size: int = 14
    layer_norm_eps: float = 1e-6
    post_norm_eps: float = 1e-5
    qformer_hidden_size: int = 768
    qformer_intermediate_size: int = 3072
    qformer_num_hidden_layers: int = 12
    qformer_num_attention_heads: int = 12
    qformer_layer_norm_eps: float = 1e-12
    qformer_cross_attention_frequency: int = 2
    num_query_tokens: int = 32
    has_qformer: bool = True
    text_hidden_size: int = 4096

    def __post_init__(self) -> None:
        """Refuse what no model can have."""
        self._expect_sizes(_SIZES)
        for prefix in ("", "qformer_"):
            self._expect_layers(f"{prefix}num_hidden_layers")
            self._expect_heads(f"{prefix}hidden_size", f"{prefix}num_attention_heads")
        for name in ("layer_norm_eps", "post_norm_eps", "qformer_layer_norm_eps"):
            self._expect_epsilon(name)
        self._expect("has_qformer", "true or false", lambda value: isinstance(value, bool))
        self._expect_patches()
        if not self.has_qformer:
            what = f"a picture whose patches are a multiple of {JOINED}"
            self._expect("image_size", what, lambda _: self.patches % JOINED == 0)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the configuration of a JSON object: these fields, or a file of transformers for BLIP-2.

        Raises:
            ConfigError: an unknown field, a value of the wrong type, or what is not computed.
        """
        return super().from_json(blip2_config(values).fields if is_foreign(values) else values)

    @property
    def patches(self) -> int:
        """Patches of a picture: 256 in the released models of 224 pixels."""
        return (self.image_size // self.patch_size) ** 2

    @property
    def tokens(self) -> int:
        """Tokens that the language model gets of a picture: 32 with the Q-Former, else 64 of 224 pixels."""
        return self.num_query_tokens if self.has_qformer else self.patches // JOINED


_SIZES: Final = (
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "image_size",
    "patch_size",
    "qformer_hidden_size",
    "qformer_intermediate_size",
    "qformer_num_attention_heads",
    "qformer_cross_attention_frequency",
    "num_query_tokens",
    "text_hidden_size",
)

CONFIGS: Final = {
    "eva-g": MiniGPT4Config(),
    "debug": MiniGPT4Config(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, image_size=28,
        qformer_hidden_size=24, qformer_intermediate_size=40, qformer_num_hidden_layers=2,
        qformer_num_attention_heads=2, num_query_tokens=3, text_hidden_size=20,
    ),
}  # fmt: skip
"""Named configurations: the released tower, and one small enough for a test."""
