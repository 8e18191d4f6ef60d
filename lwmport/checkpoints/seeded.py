"""Random weights from a seed: the same bytes for a name on every machine, in any order, with any numpy.

numpy promises the raw words of its bit generators for ever, but not the normal distribution made of them, whose
tails also go through the C library's logarithm. So the bell curve is made here, of integers: the sum of the four
16-bit halves of a word, which is exact, scaled once. Its variance is 1, its extremes are at 3.46.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lwmport import digest
from lwmport.checkpoints.fit import is_floating
from lwmport.errors import CheckpointError
from lwmport.types import Array, WeightSpec, dtype_of

PIECE: Final = 1 << 16
"""Values made at once: the words take half a MiB and stay in the processor's cache, whatever the tensor's size."""

RULES: Final = 1
"""Version of the rules; part of the digest, for a change of them changes every number."""


class SeededWeights:
    """Weights that were never trained (`lwmport.types.Weights`), each made when it is read.

    The last part of a name decides: a ``kernel`` has variance 1/fan-in, so that signals keep their size from layer to
    layer; ``scale`` and the kernels of RMS norms are near 1; biases are small; embeddings have deviation 0.5.

    Raises:
        CheckpointError: a tensor is not floating.
    """

    def __init__(self, specs: Mapping[str, WeightSpec], seed: int) -> None:
        others = [f"{name} ({spec.dtype})" for name, spec in specs.items() if not is_floating(spec.dtype)]
        if others:
            raise CheckpointError(f"expected floating tensors to fill with random numbers, found {', '.join(others)}")
        self.seed = seed
        self._specs = dict(specs)

    @property
    def specs(self) -> Mapping[str, WeightSpec]:
        """Shape and dtype of every tensor."""
        return self._specs

    @property
    def source(self) -> Mapping[str, Any]:
        """The seed, and that nothing was trained."""
        description = f"seeded random weights (seed {self.seed}), not trained"
        return {"kind": "seeded", "description": description, "seed": self.seed}

    def digest(self) -> str:
        """Return the SHA-256 of what decides every number: rules, seed, names, shapes, dtypes."""
        specs = {name: [list(spec.shape), spec.dtype] for name, spec in self._specs.items()}
        return digest.of_json({"rules": RULES, "seed": self.seed, "specs": specs})

    def read(self, name: str) -> Array:
        """Return one tensor, read-only.

        Raises:
            CheckpointError: no such tensor.
        """
        if name not in self._specs:
            raise CheckpointError(f"expected one of {len(self._specs)} tensors, found {name!r}")
        spec = self._specs[name]
        centre, deviation = _distribution(name, spec.shape)
        values = _bell(name, self.seed, math.prod(spec.shape), np.float32(deviation), np.float32(centre))
        array = values.reshape(spec.shape).astype(dtype_of(spec.dtype), copy=False)
        array.flags.writeable = False
        return array


def _distribution(name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Return centre and deviation of a tensor."""
    *above, last = name.split("/")
    if "scan_decoder" in above:
        shape = shape[1:]  # the leading axis counts layers: each is a tensor of its own
    if last == "scale" or (last == "kernel" and len(shape) < 2):
        return 1.0, 0.1
    if last == "kernel":
        return 0.0, 1 / math.sqrt(max(math.prod(shape[:-1]), 1))
    if last in {"embedding", "embeddings"}:
        return 0.0, 0.5
    return 0.0, 0.1


def _bell(name: str, seed: int, size: int, deviation: np.float32, centre: np.float32) -> NDArray[np.float32]:
    """Return ``size`` float32 values around ``centre``; the stream is keyed by name and seed."""
    key = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    # Through a seed sequence a key could be hashed in a new way one day; given as the key it is the key.
    words = np.random.Philox(key=int.from_bytes(key[:16], "little"))
    scale = deviation * np.float32(math.sqrt(3 / (2**32 - 1)))
    values = np.empty(size, np.float32)
    for start in range(0, size, PIECE):
        piece = values[start : start + PIECE]
        piece[:] = _centred(words.random_raw(len(piece))) * scale
        piece += centre
    return values


def _centred(words: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Return the sum of the four 16-bit parts of each word, less its mean: integers that float32 holds exactly."""
    # Two parts are added in each half at once: 0x1FFFE fits beside the other half's.
    mask = np.uint64(0x0000FFFF0000FFFF)
    pairs = (words & mask) + ((words >> np.uint64(16)) & mask)
    sums = (pairs & np.uint64(0xFFFFFFFF)) + (pairs >> np.uint64(32))
    centred: NDArray[np.float32] = (sums.astype(np.int32) - np.int32(2 * 0xFFFF)).astype(np.float32)
    return centred
