"""Tensors in blocks of ggml: made of values a piece at a time, on all processors, and values made of them again."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial

import numpy as np

from lwmport.checkpoints.block_workers import BlockWorkers, workers_for
from lwmport.checkpoints.layout import Layout
from lwmport.checkpoints.lazy.layouts import Relaid, relaid
from lwmport.checkpoints.lazy.tensors import Lazy
from lwmport.errors import CheckpointError
from lwmport.ggml_kinds import KINDS
from lwmport.processors import processors
from lwmport.quantise.ggml.blocks import dequantised, quantised
from lwmport.types import Array, WeightSpec


class GgmlBlocks(Lazy):
    """A tensor as the bytes of its blocks, uint8 [rows, bytes], in the layout of a file: a row is what is summed over.

    Args:
        source: the values, float32 [rows, values].
        kind: a name of `KINDS`, whose blocks divide a row.
        name: of the tensor, for messages.
    """

    def __init__(self, source: Lazy, kind: str, name: str) -> None:
        self.kind, self._source, self._name = KINDS[kind], source, name
        rows, values = source.spec.shape
        super().__init__(WeightSpec(shape=(rows, self.kind.stored_bytes(values)), dtype="uint8"))

    def rows(self, begin: int, end: int) -> Array:
        """Return rows of bytes."""
        return self._made(self._source.rows(begin, end)).reshape(end - begin, -1)

    def pieces(self) -> Iterator[Array]:
        """Yield all bytes, from first to last, piece by piece of the source."""
        pieces = _whole(self._source.pieces(), self.kind.values)
        if workers := workers_for(self.kind.name, math.prod(self._source.spec.shape)):
            yield from _in_order(partial(self._made, workers=workers), pieces, workers.pool, workers.count)
            return
        count = processors()
        with ThreadPoolExecutor(count, "blocks") as pool:
            yield from _in_order(self._made, pieces, pool, count)

    def _made(self, values: Array, workers: BlockWorkers | None = None) -> Array:
        """Return values as bytes.

        Raises:
            CheckpointError: one is no number, or infinite.
        """
        if not np.isfinite(values).all():
            raise CheckpointError(f"{self._name}: expected finite values to quantize, found others")
        made = workers.quantised(values, self.kind.name) if workers else quantised(values, self.kind)
        return made.reshape(-1)


class FromGgml(Lazy):
    """The values of a tensor in blocks, float32, in the layout of a file."""

    def __init__(self, blocks: GgmlBlocks) -> None:
        rows, nbytes = blocks.spec.shape
        values = nbytes // blocks.kind.nbytes * blocks.kind.values
        super().__init__(WeightSpec(shape=(rows, values), dtype="float32"))
        self._blocks = blocks

    def rows(self, begin: int, end: int) -> Array:
        """Return rows of values."""
        return dequantised(self._blocks.rows(begin, end), self._blocks.kind).reshape(end - begin, -1)

    def pieces(self) -> Iterator[Array]:
        """Yield all values, from first to last, piece by piece of the blocks."""
        for piece in self._blocks.pieces():
            yield dequantised(piece, self._blocks.kind)


def in_blocks(tensor: Lazy, kind: str, channel: int, name: str) -> GgmlBlocks:
    """Return a tensor as blocks; its ``channel`` is the axis of the rows of a file, 0 or -1."""
    rows = tensor if channel == 0 else relaid(tensor, _turned(tensor.spec.shape))
    return GgmlBlocks(rows, kind, name)


def from_blocks(blocks: GgmlBlocks, channel: int) -> Lazy:
    """Return the values of blocks in the layout of the tensor that they were made of."""
    values = FromGgml(blocks)
    return values if channel == 0 else Relaid(values, _turned(values.spec.shape))


def _turned(shape: tuple[int, ...]) -> Layout:
    return Layout(view=shape, axes=(1, 0), shape=shape[::-1])


def _whole(pieces: Iterable[Array], values: int) -> Iterator[Array]:
    """Yield pieces again, cut where blocks begin."""
    left = np.empty(0, np.float32)
    for piece in pieces:
        joined = np.concatenate([left, piece]) if left.size else piece
        end = joined.size // values * values
        left = joined[end:]
        if end:
            yield joined[:end]


def _in_order(work: Callable[[Array], Array], pieces: Iterable[Array], pool: Executor, count: int) -> Iterator[Array]:
    """Yield what ``work`` makes of each piece, in order; ``count`` of them are worked on, and one more waits."""
    waiting: deque[Future[Array]] = deque()
    for piece in pieces:
        waiting.append(pool.submit(work, piece))
        if len(waiting) > count:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
