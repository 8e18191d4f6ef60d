"""One entry of a file becomes one array: a mapping of just its bytes where it is large, a copy where it is small."""

import mmap
import os

import numpy as np
from numpy.typing import NDArray

from lwmport.checkpoints.entry import TensorEntry
from lwmport.errors import CheckpointError
from lwmport.types import Array, dtype_of

MAP_FROM = 1 << 20
"""Bytes from which a tensor is mapped. A mapping holds a file descriptor, of which a process has about a thousand."""


def read_tensor(entry: TensorEntry, descriptor: int) -> Array:
    """Return the tensor: C-contiguous, native byte order, read-only.

    A mapped tensor is unmapped when its array is collected, and only the pages that are touched become resident: a
    slice of a stacked tensor costs that slice. It may be unaligned, which numpy allows (``array.flags.aligned``).

    Raises:
        CheckpointError: the file changed, or cannot be read.
    """
    array = _bytes_of(entry, descriptor).view(dtype_of(entry.dtype))
    if entry.big_endian:
        array = array.byteswap()
    array = array.reshape(entry.stored_shape)
    if entry.axes:
        array = array.transpose(entry.axes)
    if not array.flags.c_contiguous:
        array = array.copy(order="C")
    array.flags.writeable = False
    return array


def decoded(raw: bytes, codec: str) -> bytes:
    """Return the bytes that a text of characters 0..255 stands for.

    Raises:
        CheckpointError: it is no such text.
    """
    try:
        return raw.decode(codec).encode("latin-1")
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise CheckpointError(f"expected bytes written as {codec} text, found other text: {error.reason}") from error


def _bytes_of(entry: TensorEntry, descriptor: int) -> NDArray[np.uint8]:
    if len(entry.pieces) == 1 and not entry.codec and entry.nbytes >= MAP_FROM:
        return _mapped(descriptor, *entry.pieces[0])
    stored = np.empty(sum(length for _, length in entry.pieces), np.uint8)
    begin = 0
    for offset, length in entry.pieces:
        _fill(stored.data[begin : begin + length], descriptor, offset)
        begin += length
    if not entry.codec:
        return stored
    return np.frombuffer(decoded(stored.tobytes(), entry.codec), np.uint8)


def _mapped(descriptor: int, offset: int, length: int) -> NDArray[np.uint8]:
    """Map the pages around ``[offset, offset + length)``; the array is the mapping's only owner."""
    pad = offset % mmap.ALLOCATIONGRANULARITY
    try:
        mapping = mmap.mmap(descriptor, pad + length, access=mmap.ACCESS_READ, offset=offset - pad)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot map {length} bytes at offset {offset}: {error}") from error
    return np.frombuffer(mapping, np.uint8, count=length, offset=pad)


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
