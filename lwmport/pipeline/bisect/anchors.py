"""Which tensor of a lowering is which value in JAX: its numbers tell, whatever its name and the order of its axes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from lwmport.types import Array

NEAR: Final = {"float32": 1e-3, "float64": 1e-3, "float16": 3e-2, "bfloat16": 2e-1}
"""Dtype -> how much of the root mean square two prints of one value may differ by, for errors add up on the way."""


@dataclass(frozen=True, kw_only=True)
class Print:
    """Numbers of a tensor that no order of its axes changes: how many elements, their mean, spread and extremes."""

    size: int
    mean: float
    rms: float
    least: float
    most: float

    def is_near(self, other: "Print", share: float) -> bool:
        """Return whether two prints may be of one value."""
        if self.size != other.size:
            return False
        room = share * max(self.rms, other.rms)
        pairs = ((self.mean, other.mean), (self.rms, other.rms), (self.least, other.least), (self.most, other.most))
        return all(abs(one - two) <= room * weight for (one, two), weight in zip(pairs, (1, 1, 5, 5), strict=True))


def print_of(value: Array) -> Print | None:
    """Return the print of a tensor; None of one that says too little: no float, fewer than two values, not finite."""
    if value.size < 2 or (not np.issubdtype(value.dtype, np.floating) and value.dtype.name != "bfloat16"):
        return None
    wide = value.astype(np.float64)
    least, most = float(wide.min()), float(wide.max())
    if not np.isfinite([least, most]).all() or least == most:
        return None
    rms = float(np.sqrt(np.square(wide).mean()))
    return Print(size=value.size, mean=float(wide.mean()), rms=rms, least=least, most=most)


class Anchors:
    """The taps of JAX in one case, by their prints, each given away to the first tensor that may be it."""

    def __init__(self, prints: Mapping[str, Print], layers: Iterable[str]) -> None:
        self._left = dict(prints)
        self._layers = set(layers)
        self.found: dict[str, str] = {}
        """Tensor -> the name of its tap."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The taps that no tensor was found for."""
        return tuple(self._left)

    def see(self, name: str, value: Array) -> None:
        """Look whether a tensor is a tap; taps come in the order of computation."""
        if not self._left or not any(item.size == value.size for item in self._left.values()):
            return
        made = print_of(value)
        share = NEAR.get(value.dtype.name, 1e-3)
        tap = None if made is None else next((tap for tap, one in self._left.items() if one.is_near(made, share)), None)
        if tap is not None:
            del self._left[tap]
            self.found[name] = tap

    def restore(self, found: Mapping[str, str]) -> None:
        """Give taps away as an earlier search has."""
        self.found = dict(found)
        self._left = {tap: made for tap, made in self._left.items() if tap not in found.values()}

    def is_layer(self, tap: str) -> bool:
        """Return whether a tap is what a layer returns."""
        return tap in self._layers


def layers_of(outputs: Iterable[str], anchors: Anchors) -> Mapping[str, str]:
    """Return tensor -> the layer that it lies in: the one whose end comes next, in the order of computation."""
    found: dict[str, str] = {}
    waiting: list[str] = []
    for name in outputs:
        waiting.append(name)
        tap = anchors.found.get(name, "")
        if tap and anchors.is_layer(tap):
            found.update(dict.fromkeys(waiting, tap))
            waiting = []
    return found
