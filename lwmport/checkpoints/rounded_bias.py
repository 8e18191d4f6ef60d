"""The bias of a convolution of integers: int32, in steps of the input's scale times that of the output's channel."""

import numpy as np

from lwmport.checkpoints.lazy.tensors import Lazy
from lwmport.types import Array, WeightSpec


class RoundedBias:
    """A bias [channels], the scales of its kernel [1, channels], and the scale of what goes into the convolution."""

    def __init__(self, exact: Lazy, scales: Lazy, scale: float) -> None:
        self.exact, self._scales, self._scale = exact, scales, np.float32(scale)

    def scales(self) -> Array:
        """Return the step of each channel, float32 [channels]; nothing is 0."""
        found: Array = self._scale * self._scales.read().reshape(-1)
        return np.where(found == 0, np.float32(1), found)

    def codes(self) -> Array:
        """Return the whole number of steps nearest to each value, int32 [channels], ties to even ones."""
        limits = np.iinfo(np.int32)
        steps = np.rint(self.exact.read().astype(np.float64) / self.scales())
        return np.clip(steps, limits.min, limits.max).astype(np.int32)

    def values(self) -> Array:
        """Return what the steps stand for, float32 [channels]."""
        return self.codes().astype(np.float32) * self.scales()


class BiasPart(Lazy):
    """One of ``codes``, ``scales`` and ``values`` of a bias."""

    def __init__(self, bias: RoundedBias, part: str) -> None:
        super().__init__(WeightSpec(shape=bias.exact.spec.shape, dtype="int32" if part == "codes" else "float32"))
        self._bias, self._part = bias, part

    def rows(self, begin: int, end: int) -> Array:
        """Return some channels."""
        found: Array = getattr(self._bias, self._part)()
        return found[begin:end]
