"""What every writer shares: the tensors of some weights, one at a time, as bytes into a file."""

from collections.abc import Callable, Iterator
from typing import IO, Any, Final, TypeAlias

import numpy as np

from lwmport.checkpoints.entry import DTYPES
from lwmport.errors import CheckpointError
from lwmport.types import Array, Weights

Progress: TypeAlias = Callable[[str, int], None]
"""Called with the name of a tensor and the bytes of all tensors written so far."""

PIECE: Final = 1 << 24
"""Bytes written between two calls of the progress function."""


class Sink:
    """A file that is written from front to back, and the weights that go into it.

    ``names`` are sorted, so that the order of the source changes no byte.
    """

    def __init__(self, file: IO[bytes], weights: Weights, progress: Progress) -> None:
        self.specs = weights.specs
        self.names = sorted(weights.specs)
        self.write = file.write
        self._weights = weights
        self._progress = progress
        self._done = 0

    def read(self, name: str) -> Array:
        """Return one tensor, C-contiguous and in this machine's byte order.

        Raises:
            CheckpointError: the weights do not keep the promise of their specs.
        """
        array, spec = np.asarray(self._weights.read(name)), self.specs[name]
        if array.shape != spec.shape or array.dtype.name != spec.dtype:
            found = f"{array.dtype.name} {array.shape}"
            raise CheckpointError(f"{name}: expected {spec.dtype} {spec.shape}, found {found} when reading it")
        return array.astype(array.dtype.newbyteorder("="), order="C", copy=False)

    def pour(self, name: str, array: Array) -> None:
        """Write the bytes of an array (C-contiguous), in pieces."""
        for piece in _pieces(array):
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
            raise CheckpointError(f"{name}: expected one of {', '.join(sorted(DTYPES))}, found {spec.dtype}")
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


def _pieces(array: Array) -> Iterator[memoryview]:
    # Viewed as bytes because bfloat16 has no buffer format of its own.
    flat = array.reshape(-1).view(np.uint8)
    for start in range(0, flat.size, PIECE):
        yield flat[start : start + PIECE].data
