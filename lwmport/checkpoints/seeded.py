"""Random weights from a seed: the same bytes for a name on every machine, in any order, with any numpy.

numpy promises the raw words of its bit generators for ever, but not the normal distribution made of them, whose
tails also go through the C library's logarithm. So the bell curve is made here, of integers: the sum of the four
16-bit halves of a word, which is exact, scaled once. Its variance is 1, its extremes are at 3.46.
"""

import hashlib
import math
import os
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lwmport import digest
from lwmport.checkpoints.calibrated import Rounder
from lwmport.checkpoints.fit import is_floating
from lwmport.checkpoints.lazy.tensors import Linear
from lwmport.errors import CheckpointError
from lwmport.types import Array, WeightSpec, dtype_of
from lwmport.wording import few

PIECE: Final = 1 << 15
"""Values made at once: the words take a quarter of a MiB and stay in the processor's cache, whatever the tensor's size.
"""

AHEAD: Final = 1 << 20
"""Values that one thread makes at a time, while the last are written."""

THREADS: Final = min(4, os.cpu_count() or 1)

WORDS: Final = 4
"""Words that one step of Philox's counter makes (Salmon et al., 2011: four words of 64 bits)."""

RULES: Final = 1
"""Version of the rules; part of the digest, for a change of them changes every number."""


class SeededWeights:
    """Weights that were never trained (`lwmport.types.Weights`), each made when it is read.

    The last part of a name decides: a ``kernel`` has variance 1/fan-in, so that signals keep their size from layer to
    layer; ``scale`` and the kernels of RMS norms are near 1; biases are small; embeddings have deviation 0.5.

    Raises:
        CheckpointError: a tensor is not floating.

    Attributes:
        rounder: what rounds them where that takes runs of the model.
    """

    rounder: Rounder | None = None

    def __init__(self, specs: Mapping[str, WeightSpec], seed: int) -> None:
        others = [f"{name} ({spec.dtype})" for name, spec in specs.items() if not is_floating(spec.dtype)]
        if others:
            raise CheckpointError(f"expected floating tensors to fill with random numbers, found {few(others)}")
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

    def lazy(self, name: str) -> "Seeded":
        """Return one tensor as what can be made in parts.

        Raises:
            CheckpointError: no such tensor.
        """
        if name not in self._specs:
            raise CheckpointError(f"expected one of {len(self._specs)} tensors, found {name!r}")
        return Seeded(name, self._specs[name], self.seed)

    def read(self, name: str) -> Array:
        """Return one tensor, read-only.

        Raises:
            CheckpointError: no such tensor.
        """
        return self.lazy(name).read()

    def pieces(self, name: str) -> Iterator[Array]:
        """Yield the values of one tensor in C order, as 1-D arrays of a few MiB.

        Raises:
            CheckpointError: no such tensor.
        """
        return self.lazy(name).pieces()


class Seeded(Linear):
    """One tensor of random numbers. Any range of it is made at once, for the generator can be moved to it."""

    def __init__(self, name: str, spec: WeightSpec, seed: int) -> None:
        super().__init__(spec)
        centre, deviation = _distribution(name, spec.shape)
        self._centre = np.float32(centre)
        self._scale = np.float32(deviation) * np.float32(math.sqrt(3 / (2**32 - 1)))
        self._dtype = dtype_of(spec.dtype)
        key = hashlib.sha256(f"{seed}:{name}".encode()).digest()
        self._key = int.from_bytes(key[:16], "little")

    def flat(self, begin: int, end: int) -> Array:
        """Return the elements from ``begin`` to before ``end``; the stream is keyed by name and seed."""
        # Through a seed sequence a key could be hashed in a new way one day; given as the key it is the key.
        words = np.random.Philox(key=self._key)
        words.advance(begin // WORDS)
        words.random_raw(begin % WORDS)
        values = np.empty(end - begin, self._dtype)
        for start in range(0, values.size, PIECE):
            piece = values[start : start + PIECE]
            centred = _centred(words.random_raw(piece.size))
            centred *= self._scale
            centred += self._centre
            piece[:] = centred
        values.flags.writeable = False
        return values

    def pieces(self) -> Iterator[Array]:
        """Yield all values in C order, as 1-D arrays of a few MiB; other threads make those that come next."""
        size = math.prod(self.spec.shape)
        starts = iter(range(0, size, AHEAD))
        if size <= AHEAD:
            yield self.flat(0, size)
            return
        with ThreadPoolExecutor(THREADS) as pool:
            made = deque(self._later(pool, start, size) for start in islice(starts, THREADS + 1))
            while made:
                yield made.popleft().result()
                made.extend(self._later(pool, start, size) for start in islice(starts, 1))

    def _later(self, pool: ThreadPoolExecutor, start: int, size: int) -> Future[Array]:
        return pool.submit(self.flat, start, min(start + AHEAD, size))


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


def _centred(words: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Return the sum of the four 16-bit parts of each word, less its mean: integers that float32 holds exactly.

    ``words`` are used up.
    """
    # Two parts are added in each half at once: 0x1FFFE fits beside the other half's.
    mask = np.uint64(0x0000FFFF0000FFFF)
    pairs = words & mask
    words >>= np.uint64(16)
    words &= mask
    pairs += words
    halves = pairs.view(np.uint32)
    sums = (halves[0::2] + halves[1::2]).view(np.int32)
    sums -= np.int32(2 * 0xFFFF)
    return sums.astype(np.float32)
