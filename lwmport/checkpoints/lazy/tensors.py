"""Tensors that are described before they are read: parts, stacks, other layouts and other dtypes of what files hold.

Each is read in blocks of rows or in pieces, so that nothing larger than a few MiB need be in memory at once.
"""

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

from lwmport.checkpoints.streaming import PIECE
from lwmport.types import Array, WeightSpec, dtype_of


class Lazy(ABC):
    """One tensor of a known shape and dtype. Arrays that come from it are C-contiguous and in native byte order."""

    def __init__(self, spec: WeightSpec) -> None:
        self.spec = spec

    @property
    def row_size(self) -> int:
        """Elements of one row: of one step along the first axis."""
        return math.prod(self.spec.shape[1:])

    @property
    def row_count(self) -> int:
        """Steps along the first axis; a tensor without axes is one row."""
        return self.spec.shape[0] if self.spec.shape else 1

    @abstractmethod
    def rows(self, begin: int, end: int) -> Array:
        """Return the rows from ``begin`` to before ``end``, [end - begin, ...].

        Raises:
            CheckpointError: they cannot be read.
        """

    def pieces(self) -> Iterator[Array]:
        """Yield all values in C order, as 1-D arrays of about `PIECE` bytes.

        Raises:
            CheckpointError: they cannot be read.
        """
        step = self.step(PIECE)
        for begin in range(0, self.row_count, step):
            yield self.rows(begin, min(begin + step, self.row_count)).reshape(-1)

    def held(self) -> contextlib.AbstractContextManager[None]:
        """Keep meanwhile what would else be read again for each block of rows."""
        return contextlib.nullcontext()

    def read(self) -> Array:
        """Return the whole tensor, read-only: mapped where the file holds it so, else put together from `pieces`.

        Raises:
            CheckpointError: it cannot be read.
        """
        array = np.empty(math.prod(self.spec.shape), dtype_of(self.spec.dtype))
        begin = 0
        for piece in self.pieces():
            array[begin : begin + piece.size] = piece
            begin += piece.size
        array.flags.writeable = False
        return array.reshape(self.spec.shape)

    def step(self, nbytes: int) -> int:
        """Return how many rows take about ``nbytes``, at least one."""
        return max(1, nbytes // max(1, self.row_size * dtype_of(self.spec.dtype).itemsize))


class Linear(Lazy):
    """A tensor any range of whose elements can be had directly."""

    @abstractmethod
    def flat(self, begin: int, end: int) -> Array:
        """Return the elements from ``begin`` to before ``end``, counted in C order; read-only.

        Raises:
            CheckpointError: they cannot be read.
        """

    def copied(self, begin: int, end: int) -> Array:
        """Return the same elements in memory of their own, where a file read to its end is faster so than mapped."""
        return self.flat(begin, end)

    def runs(self, begin: int, length: int, stride: int, count: int) -> Array:
        """Return ``count`` runs of ``length`` elements whose starts are ``stride`` apart, [count, length]."""
        whole = self.flat(begin, begin + (count - 1) * stride + length) if count else self.flat(0, 0)
        shape, itemsize = (count, length), whole.dtype.itemsize
        return np.lib.stride_tricks.as_strided(whole, shape, (stride * itemsize, itemsize), writeable=False).copy()

    def rows(self, begin: int, end: int) -> Array:
        """Return the rows from ``begin`` to before ``end``, [end - begin, ...]."""
        return self.flat(begin * self.row_size, end * self.row_size).reshape(end - begin, *self.spec.shape[1:])

    def pieces(self) -> Iterator[Array]:
        """Yield all values in C order, as 1-D arrays of `PIECE` bytes."""
        size = math.prod(self.spec.shape)
        step = max(1, PIECE // dtype_of(self.spec.dtype).itemsize)
        for begin in range(0, size, step):
            yield self.copied(begin, min(begin + step, size))
