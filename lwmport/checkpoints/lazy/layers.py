"""Layers: one of a stacked tensor, many as one stacked tensor."""

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from lwmport.checkpoints.lazy.tensors import Lazy, Linear
from lwmport.errors import CheckpointError
from lwmport.types import Array, WeightSpec, dtype_of

BLOCK: Final = 1 << 26
"""Bytes put together at once where layers are interleaved: each is read in strips, which must not become thin."""

SKIPPED: Final = 1 << 24
"""Bytes at most that are gone through for one read where the runs that are wanted lie close together."""


class Part(Lazy):
    """Entry ``index`` on ``axis`` of a tensor, without that axis.

    Raises:
        CheckpointError: there is no such axis or no such entry.
    """

    def __init__(self, whole: Lazy, axis: int, index: int) -> None:
        shape = whole.spec.shape
        if not 0 <= axis < len(shape) or not 0 <= index < shape[axis]:
            raise CheckpointError(f"expected entry {index} on axis {axis}, found the shape {shape}")
        super().__init__(WeightSpec(shape=shape[:axis] + shape[axis + 1 :], dtype=whole.spec.dtype))
        self._whole, self._axis, self._index = whole, axis, index

    def rows(self, begin: int, end: int) -> Array:
        """Return rows of the part; of a tensor in a file only their bytes are read."""
        shape = self._whole.spec.shape
        if self._axis == 0:
            size = self.row_size
            return self.first(begin * size, end * size).reshape(end - begin, *self.spec.shape[1:])
        if not isinstance(self._whole, Linear):
            return np.ascontiguousarray(self._whole.rows(begin, end).take(self._index, axis=self._axis))
        length = math.prod(shape[self._axis + 1 :])
        outer = math.prod(shape[1 : self._axis])
        stride = shape[self._axis] * length
        found = self._runs(begin * outer, end * outer, length, stride)
        return found.reshape(end - begin, *self.spec.shape[1:])

    def pieces(self) -> Iterator[Array]:
        """Yield all values in C order, as 1-D arrays of a few MiB."""
        if self._axis:
            yield from super().pieces()
            return
        yield from _FirstAxis(self).pieces()

    def read(self) -> Array:
        """Return the part, mapped where it lies in one place of a file."""
        if self._axis:
            return super().read()
        array = self.first(0, math.prod(self.spec.shape)).reshape(self.spec.shape)
        array.flags.writeable = False
        return array

    def first(self, begin: int, end: int, *, copied: bool = False) -> Array:
        """Return elements of a part on the first axis, counted in its own C order; 1-D."""
        size = self._whole.row_size
        if isinstance(self._whole, Linear):
            read = self._whole.copied if copied else self._whole.flat
            return read(self._index * size + begin, self._index * size + end)
        return self._whole.rows(self._index, self._index + 1).reshape(-1)[begin:end]

    def _runs(self, begin: int, end: int, length: int, stride: int) -> Array:
        whole = self._whole
        assert isinstance(whole, Linear)  # noqa: S101 - rows() has asked
        step = max(1, SKIPPED // max(1, stride * dtype_of(self.spec.dtype).itemsize))
        starts = range(begin, end, step)
        blocks = [
            whole.runs(first * stride + self._index * length, length, stride, min(step, end - first))
            for first in starts
        ]
        return np.concatenate(blocks) if blocks else whole.flat(0, 0)


class _FirstAxis(Linear):
    """A part on the first axis, which is one range of elements."""

    def __init__(self, part: Part) -> None:
        super().__init__(part.spec)
        self._part = part

    def flat(self, begin: int, end: int) -> Array:
        """Return a range of the part's elements."""
        return self._part.first(begin, end)

    def copied(self, begin: int, end: int) -> Array:
        """Return the same in memory of its own."""
        return self._part.first(begin, end, copied=True)


class Stack(Lazy):
    """Tensors of one shape and dtype as one, along a new ``axis``, which is 0 or 1.

    Raises:
        CheckpointError: there are none, or they differ.
    """

    def __init__(self, layers: Sequence[Lazy], axis: int) -> None:
        found = {layer.spec for layer in layers}
        if len(found) != 1:
            raise CheckpointError(f"expected layers of one shape and dtype to stack, found {len(found)} kinds")
        spec = found.pop()
        if axis not in {0, 1} or axis > len(spec.shape):
            raise CheckpointError(f"expected to stack on axis 0 or 1, found {axis} for the shape {spec.shape}")
        shape = (*spec.shape[:axis], len(layers), *spec.shape[axis:])
        super().__init__(WeightSpec(shape=shape, dtype=spec.dtype))
        self._layers, self._axis = tuple(layers), axis

    def rows(self, begin: int, end: int) -> Array:
        """Return rows of the stack: whole layers, or the same rows of every layer."""
        made = np.empty((end - begin, *self.spec.shape[1:]), dtype_of(self.spec.dtype))
        if self._axis == 0:
            for number, layer in enumerate(self._layers[begin:end]):
                made[number] = layer.read()
            return made
        for number, layer in enumerate(self._layers):
            made[:, number] = layer.rows(begin, end)
        return made

    def pieces(self) -> Iterator[Array]:
        """Yield all values in C order, as 1-D arrays of `BLOCK` bytes at most."""
        if self._axis == 0:
            for layer in self._layers:
                yield from layer.pieces()
            return
        step = self.step(BLOCK)
        for begin in range(0, self.row_count, step):
            yield self.rows(begin, min(begin + step, self.row_count)).reshape(-1)
