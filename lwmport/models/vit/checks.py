"""The base of configurations of towers: sizes, layers, heads and epsilons that no model can have are refused."""

from collections.abc import Iterable
from typing import Any, Final

from lwmport.models.configuration import PlainConfig

LARGEST: Final = 2**24
"""The largest size: three times as many channels, or four, are still counted in 32 bits, as most runtimes do."""

LAYERS: Final = 1000
"""The most layers; each is traced."""


class TowerConfig(PlainConfig):
    """The base of a frozen dataclass that describes a tower."""

    def _expect_sizes(self, names: Iterable[str]) -> None:
        for name in names:
            self._expect(name, f"a whole number from 1 to {LARGEST:,}", lambda value: _is_whole(value, LARGEST))

    def _expect_layers(self, name: str) -> None:
        self._expect(name, f"a whole number from 1 to {LAYERS:,}", lambda value: _is_whole(value, LAYERS))

    def _expect_heads(self, width: str, heads: str) -> None:
        count = getattr(self, heads)
        self._expect(width, f"a multiple of {count} ({heads})", lambda value: value % count == 0)

    def _expect_epsilon(self, name: str) -> None:
        self._expect(name, "a number above 0 and below 1", lambda value: isinstance(value, float) and 0 < value < 1)

    def _expect_patches(self) -> None:
        """Refuse a picture that is not made of whole patches, or of more than a runtime counts."""
        size = self.patch_size  # type: ignore[attr-defined]
        self._expect("image_size", f"a multiple of patch_size {size}", lambda value: value % size == 0)
        most = int((LARGEST - 1) ** 0.5)
        self._expect("image_size", f"at most {most:,} patches of {size}", lambda value: value // size <= most)


def _is_whole(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most
