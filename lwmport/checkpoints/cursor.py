"""A place in a file, moved by small buffered reads; payloads are stepped over and only their offsets kept."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from lwmport.errors import CheckpointError

WINDOW = 1 << 14
"""Bytes read at once: the headers between two tensors fit, and a payload that is skipped costs no more than this."""


class Cursor:
    """Reads ``[position, end)`` of an open file. Every claim of the file is held against ``end`` before it is believed.

    Nothing here allocates more than `take` is asked for, and callers of `take` bound what they ask for.
    """

    def __init__(self, descriptor: int, position: int, end: int) -> None:
        self.descriptor = descriptor
        self.position = position
        self.end = end
        self._base = position
        self._buffer = b""

    @property
    def left(self) -> int:
        """Bytes between here and the end."""
        return self.end - self.position

    def status(self) -> os.stat_result:
        """Return size and times of the file as it is now."""
        return os.fstat(self.descriptor)

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes.

        Raises:
            CheckpointError: the file ends before.
        """
        offset = self.skip(count)
        begin = offset - self._base
        if begin < 0 or begin + count > len(self._buffer):
            self._fill(offset, count)
            begin = 0
        return self._buffer[begin : begin + count]

    def skip(self, count: int) -> int:
        """Step over ``count`` bytes and return the offset where they begin.

        Raises:
            CheckpointError: the file ends before.
        """
        offset = self.position
        if count > self.end - offset:
            raise CheckpointError(f"truncated: expected {count} bytes at offset {offset}, found {self.end - offset}")
        self.position = offset + count
        return offset

    def unsigned(self, width: int, order: Literal["little", "big"]) -> int:
        """Return the unsigned integer of ``width`` bytes here."""
        return int.from_bytes(self.take(width), order)

    def window(self, offset: int, length: int) -> "Cursor":
        """Return a cursor over ``[offset, offset + length)``, which must lie before the end."""
        inner = Cursor(self.descriptor, offset, offset + length)
        inner._base, inner._buffer = self._base, self._buffer
        return inner

    def line(self) -> tuple[int, int]:
        """Step over one line and return its offset and its length without the newline, however long it is.

        Raises:
            CheckpointError: the file ends before the newline.
        """
        start = self.position
        while self.left:
            piece = self.take(min(WINDOW, self.left))
            found = piece.find(b"\n")
            if found >= 0:
                self.position += found + 1 - len(piece)
                return start, self.position - 1 - start
        raise CheckpointError(f"truncated: expected a line at offset {start}, found no end of it")

    def _fill(self, offset: int, count: int) -> None:
        try:
            self._buffer = os.pread(self.descriptor, max(count, WINDOW), offset)
        except OSError as error:
            raise CheckpointError(f"cannot read offset {offset}: {error.strerror or error}") from error
        self._base = offset
        if len(self._buffer) < count:
            raise CheckpointError(f"the file became shorter while it was read: nothing at offset {offset}")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Cursor]:
    """Yield a cursor over the whole file.

    Raises:
        CheckpointError: it cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise CheckpointError(f"cannot be read: {error.strerror or error}") from error
    try:
        yield Cursor(descriptor, 0, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)
