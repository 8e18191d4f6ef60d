"""What a file holds, as lazy tensors."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, TypeAlias

from lwmport.checkpoints.entry import TensorEntry
from lwmport.checkpoints.lazy.layouts import Relaid
from lwmport.checkpoints.lazy.tensors import Lazy, Linear
from lwmport.checkpoints.reading import read_range, read_runs
from lwmport.types import Array, WeightSpec, dtype_of

Opener: TypeAlias = Callable[[], AbstractContextManager[int]]
"""Opens the file of a tensor and yields its descriptor; refuses a file that changed since it was indexed."""

RUN: Final = 1 << 12
"""Bytes of a run from which runs are read one by one: below, whole pages are read anyhow."""


class Stored(Linear):
    """The bytes of one entry, in the order in which they are stored."""

    def __init__(self, entry: TensorEntry, opened: Opener) -> None:
        super().__init__(WeightSpec(shape=entry.stored_shape, dtype=entry.dtype))
        self._entry, self._opened = entry, opened

    def flat(self, begin: int, end: int) -> Array:
        """Return a range of the elements, mapped where that saves memory."""
        with self._opened() as descriptor:
            return read_range(self._entry, descriptor, begin, end)

    def copied(self, begin: int, end: int) -> Array:
        """Return a range of the elements, read: twice as fast as page by page, and safe from a file that shrinks."""
        with self._opened() as descriptor:
            return read_range(self._entry, descriptor, begin, end, mapped=False)

    def runs(self, begin: int, length: int, stride: int, count: int) -> Array:
        """Return runs of elements; long ones are read without what lies between them."""
        if length * dtype_of(self.spec.dtype).itemsize < RUN:
            return super().runs(begin, length, stride, count)
        with self._opened() as descriptor:
            return read_runs(self._entry, descriptor, range(begin, begin + count * stride, stride), length)

    def read(self) -> Array:
        """Return the whole tensor, mapped where it lies in one place of the file."""
        return self.flat(0, math.prod(self.spec.shape)).reshape(self.spec.shape)


def lazy_of(entry: TensorEntry, opened: Opener) -> Lazy:
    """Return the tensor of an entry, in its own layout."""
    stored = Stored(entry, opened)
    return stored if entry.layout is None else Relaid(stored, entry.layout)
