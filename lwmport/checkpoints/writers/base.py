"""What every writer shares: the tensors of some weights, one at a time, as bytes into a file."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any, TypeAlias

import numpy as np

from lwmport.checkpoints.casting import cast
from lwmport.checkpoints.entry import DTYPES
from lwmport.checkpoints.streaming import PIECE, pieces_of
from lwmport.errors import CheckpointError
from lwmport.types import Array, Weights, WeightSpec, dtype_of
from lwmport.wording import few

Progress: TypeAlias = Callable[[str, int], None]
"""Called with the name of a tensor and the bytes of all tensors written so far."""


class Sink:
    """A file that is written from front to back, and the weights that go into it.

    ``names`` are sorted, so that the order of the source changes no byte.
    """

    def __init__(self, file: IO[bytes], weights: Weights, progress: Progress) -> None:
        self.specs: Mapping[str, WeightSpec] = weights.specs
        self.names = sorted(weights.specs)
        self.write = file.write
        self._weights = weights
        self._progress = progress
        self._done = 0

    def retype(self, dtype: Callable[[str], str]) -> None:
        """Write each tensor of a dtype as another, which ``dtype`` tells."""
        self.specs = {name: WeightSpec(shape=s.shape, dtype=dtype(s.dtype)) for name, s in self.specs.items()}

    def pour(self, name: str) -> None:
        """Write the values of a tensor, C-contiguous and in this machine's byte order, in pieces.

        Raises:
            CheckpointError: the weights do not keep the promise of their specs.
        """
        self.pour_parts(name, [(b"", self.specs[name].nbytes)])

    def pour_parts(self, name: str, parts: Iterable[tuple[bytes, int]]) -> None:
        """Write the values of a tensor in parts, each (what to write before it, its bytes).

        Raises:
            CheckpointError: the weights do not keep the promise of their specs.
        """
        pieces = self._bytes(name)
        left = memoryview(b"")
        for before, length in parts:
            self.write(before)
            missing = length
            while missing:
                left = left or next(pieces)
                self._put(name, left[:missing])
                left, missing = left[missing:], max(missing - len(left), 0)
        if left or next(pieces, None) is not None:
            raise CheckpointError(f"{name}: expected {self.specs[name].nbytes} bytes, found more when reading it")

    def _bytes(self, name: str) -> Iterator[memoryview]:
        """Yield the bytes of a tensor; they add up to what was promised, or more."""
        for piece in pieces_of(self._weights, name):
            yield from _cut(cast(piece, dtype_of(self.specs[name].dtype), name))

    def _put(self, name: str, piece: memoryview) -> None:
        self.write(piece)
        self._done += len(piece)
        self._progress(name, self._done)


def check_writable(weights: Weights) -> None:
    """Return if the weights can be written to a checkpoint.

    Raises:
        CheckpointError: there are none, or of a dtype that is no number, or one name is the folder of another.
    """
    if not weights.specs:
        raise CheckpointError("expected tensors to write, found none")
    for name, spec in weights.specs.items():
        if spec.dtype not in DTYPES:
            raise CheckpointError(f"{name}: expected one of {few(sorted(DTYPES))}, found {spec.dtype}")
    nested(list(weights.specs))


def nested(names: list[str]) -> dict[str, Any]:
    """Return the tree of the names: dicts inside dicts, with whole names as leaves, in the order given.

    Raises:
        CheckpointError: one name is the folder of another.
    """
    tree: dict[str, Any] = {}
    for name in names:
        *above, last = name.split("/")
        node: Any = tree
        for part in above:
            node = node.setdefault(part, {}) if isinstance(node, dict) else node
        if not isinstance(node, dict) or last in node:
            raise CheckpointError(f"{name}: expected a name that is no part of another, found one that is")
        node[last] = name
    return tree


def silent(_name: str, _done: int) -> None:
    """Report to nobody."""


def _cut(array: Array) -> Iterator[memoryview]:
    # Viewed as bytes because bfloat16 has no buffer format of its own.
    flat = array.reshape(-1).view(np.uint8)
    for start in range(0, flat.size, PIECE):
        yield flat[start : start + PIECE].data
