"""A range of one entry's elements becomes an array: a mapping of just its bytes where large, a copy where small."""

import mmap
import os
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lwmport.checkpoints.entry import TensorEntry
from lwmport.errors import CheckpointError
from lwmport.ggml_kinds import KINDS
from lwmport.quantise.ggml.blocks import dequantised
from lwmport.types import Array, dtype_of

MAP_FROM = 1 << 20
"""Bytes from which a range is mapped. A mapping holds a file descriptor, of which a process has about a thousand."""


def read_range(entry: TensorEntry, descriptor: int, begin: int, end: int, *, mapped: bool = True) -> Array:
    """Return the stored elements from ``begin`` to before ``end``: 1-D, native byte order, read-only.

    A mapped range is unmapped when its array is collected, and only the pages that are touched become resident. It
    may be unaligned, which numpy allows (``array.flags.aligned``). A range over several pieces is copied.

    Args:
        entry: the tensor.
        descriptor: of its open file.
        begin: the first element, counted in stored order.
        end: the element after the last.
        mapped: whether the bytes may be mapped; a copy cannot be hurt by a file that shrinks.

    Raises:
        CheckpointError: the file changed, or cannot be read.
    """
    if entry.blocks:
        return _unpacked(entry, descriptor, begin, end)
    dtype = dtype_of(entry.dtype)
    raw = _bytes_of(entry, descriptor, begin * dtype.itemsize, end * dtype.itemsize, mapped=mapped)
    array: Array = raw.view(dtype)
    if entry.big_endian:
        array = array.byteswap()
    array.flags.writeable = False
    return array


def _unpacked(entry: TensorEntry, descriptor: int, begin: int, end: int) -> Array:
    """Return elements out of the blocks that hold them, and of no others."""
    kind = KINDS[entry.blocks]
    first, last = begin // kind.values, -(-end // kind.values)
    raw = _copied(descriptor, list(_within(entry.pieces, first * kind.nbytes, last * kind.nbytes)))
    array = dequantised(raw, kind)[begin - first * kind.values : end - first * kind.values]
    array.flags.writeable = False
    return array


def read_runs(entry: TensorEntry, descriptor: int, starts: range, length: int) -> Array:
    """Return the ``length`` stored elements at each of ``starts``, [starts, length]: nothing between them is read.

    Raises:
        CheckpointError: the file changed, or cannot be read.
    """
    made = np.empty((len(starts), length), dtype_of(entry.dtype))
    for number, start in enumerate(starts):
        made[number] = read_range(entry, descriptor, start, start + length, mapped=False)
    return made


def decoded(raw: bytes, codec: str) -> bytes:
    """Return the bytes that a text of characters 0..255 stands for.

    Raises:
        CheckpointError: it is no such text.
    """
    try:
        return raw.decode(codec).encode("latin-1")
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise CheckpointError(f"expected bytes written as {codec} text, found other text: {error.reason}") from error


def _bytes_of(entry: TensorEntry, descriptor: int, begin: int, end: int, *, mapped: bool) -> NDArray[np.uint8]:
    if entry.codec:
        (piece,) = entry.pieces
        return np.frombuffer(decoded(_copied(descriptor, [piece]).tobytes(), entry.codec), np.uint8)[begin:end]
    pieces = list(_within(entry.pieces, begin, end))
    if mapped and len(pieces) == 1 and end - begin >= MAP_FROM:
        return _mapped(descriptor, *pieces[0])
    return _copied(descriptor, pieces)


def _within(pieces: tuple[tuple[int, int], ...], begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of the pieces that hold bytes ``begin`` to ``end`` of what they are together."""
    first = 0
    for offset, length in pieces:
        low, high = max(begin, first), min(end, first + length)
        if low < high:
            yield offset + low - first, high - low
        first += length


def _mapped(descriptor: int, offset: int, length: int) -> NDArray[np.uint8]:
    """Map the pages around ``[offset, offset + length)``; the array is the mapping's only owner."""
    pad = offset % mmap.ALLOCATIONGRANULARITY
    try:
        mapping = mmap.mmap(descriptor, pad + length, access=mmap.ACCESS_READ, offset=offset - pad)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot map {length} bytes at offset {offset}: {error}") from error
    # Without this, a file that is not in memory yet is read in small steps, each when it is touched.
    mapping.madvise(mmap.MADV_WILLNEED)
    return np.frombuffer(mapping, np.uint8, count=length, offset=pad)


def _copied(descriptor: int, pieces: list[tuple[int, int]]) -> NDArray[np.uint8]:
    made = np.empty(sum(length for _, length in pieces), np.uint8)
    begin = 0
    for offset, length in pieces:
        _fill(made.data[begin : begin + length], descriptor, offset)
        begin += length
    return made


def _fill(target: memoryview, descriptor: int, offset: int) -> None:
    """Read until ``target`` is full: one call may return less, and never more than 2 GiB."""
    while target:
        try:
            count = os.preadv(descriptor, [target], offset)
        except OSError as error:
            raise CheckpointError(f"cannot read offset {offset}: {error.strerror or error}") from error
        if not count:
            raise CheckpointError(f"truncated: expected {len(target)} more bytes at offset {offset}, found none")
        target, offset = target[count:], offset + count
