"""VQGAN configurations with LWM's field names, strictly read."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final

from lwmport.errors import ConfigError
from lwmport.models.configuration import PlainConfig, unknown_fields
from lwmport.models.group_norm import GROUPS

LARGEST: Final = 2**31 - 1
"""The largest size: what counts elements along an axis is 32 bits wide in most runtimes."""

LEVELS: Final = 16
"""The most levels: each halves the picture."""

BLOCKS: Final = 1000
"""The most blocks of a level; each is traced."""


@dataclass(frozen=True, kw_only=True)
class VQGANConfig(PlainConfig):
    """LWM's VQGAN options; the defaults are the released model (146.24 M parameters).

    Raises:
        ConfigError: values that no model can have.
    """

    title: ClassVar[str] = "VQGAN"

    resolution: int = 256
    num_channels: int = 3
    hidden_channels: int = 128
    channel_mult: tuple[int, ...] = (1, 2, 2, 4, 6)
    num_res_blocks: int = 2
    attn_resolutions: tuple[int, ...] = ()
    no_attn_mid_block: bool = True
    z_channels: int = 64
    num_embeddings: int = 8192
    quantized_embed_dim: int = 64
    dropout: float = 0.0
    resample_with_conv: bool = True
    commitment_cost: float = 0.25

    def __post_init__(self) -> None:
        """Refuse what no model can have."""
        for name in _POSITIVE:
            self._expect(name, "a whole number of at least 1", _is_size)
            self._expect(name, f"at most {LARGEST:,}", lambda value: value <= LARGEST)
        for name in ("no_attn_mid_block", "resample_with_conv"):
            self._expect(name, "true or false", lambda value: isinstance(value, bool))
        for name in ("channel_mult", "attn_resolutions"):
            self._expect(name, "whole numbers of at least 1", lambda values: all(map(_is_size, values)))
        self._expect("channel_mult", "at least one level", len)
        self._expect("channel_mult", f"at most {LEVELS} levels", lambda values: len(values) <= LEVELS)
        self._expect("num_res_blocks", f"at most {BLOCKS:,}", lambda value: value <= BLOCKS)
        self._expect(
            "channel_mult",
            f"factors that make hidden_channels {self.hidden_channels} a multiple of {GROUPS} (GroupNorm's groups)",
            lambda values: all(self.hidden_channels * value % GROUPS == 0 for value in values),
        )
        halvings = len(self.channel_mult) - 1
        self._expect("resolution", f"a size that halves {halvings} times", lambda value: value % self.scale == 0)

    @property
    def scale(self) -> int:
        """Pixels along one side of a code: 16 in the released model."""
        return int(2 ** (len(self.channel_mult) - 1))

    @property
    def codes_per_side(self) -> int:
        """Codes along one side of a picture: 16 in the released model, hence 256 tokens a frame."""
        return self.resolution // self.scale

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "VQGANConfig":
        """Return the configuration of a JSON object with LWM's field names; absent fields keep the defaults.

        Raises:
            ConfigError: an unknown field or a value of the wrong type.
        """
        given = {name: value for name, value in values.items() if name not in _BOOKKEEPING}
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(given) - known)
        if unknown:
            raise ConfigError(f"expected VQGAN fields out of {unknown_fields(unknown, known)}")
        for name in ("channel_mult", "attn_resolutions"):
            if name in given:
                if not isinstance(given[name], list | tuple):
                    raise ConfigError(f"expected a list as {name}, found {given[name]!r}")
                given[name] = tuple(given[name])
        return cls(**given)


_POSITIVE: Final = (
    "resolution",
    "num_channels",
    "hidden_channels",
    "num_res_blocks",
    "z_channels",
    "num_embeddings",
    "quantized_embed_dim",
)
_BOOKKEEPING: Final = frozenset({"model_type", "transformers_version", "num_resolutions", "_name_or_path"})
"""Fields that LWM's configuration class writes beside its own; none changes the model."""


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


CONFIGS: Final = {
    "lwm": VQGANConfig(),
    "debug": VQGANConfig(
        resolution=32, hidden_channels=32, channel_mult=(1, 2), num_res_blocks=1, z_channels=16, num_embeddings=64,
        quantized_embed_dim=16,
    ),
}  # fmt: skip
"""Named configurations: the released model, and one small enough for a test."""
