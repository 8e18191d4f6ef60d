"""Protocol buffers without their schema's classes: fields of a mapped file, of which large ones are skipped unread.

Source: protobuf.dev/programming-guides/encoding. Every length is checked against the message that holds it, so that a
file that lies about them costs one line.
"""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lwmport.errors import ArtifactError
from lwmport.small_files import open_regular

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
DEPTH: Final = 64
"""Messages within messages; protocol buffers' own readers stop at 100."""

FIELDS: Final = 20_000_000
"""Fields that a file may have: a model of a million nodes has fewer."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its number, wire type, and the bytes [start, end) of its content; ``value`` of a number."""

    number: int
    kind: int
    start: int
    end: int
    value: int = 0


class Message:
    """The fields of ``data`` between two offsets.

    Raises:
        ArtifactError: on iteration, the bytes are no message.
    """

    def __init__(self, data: mmap.mmap | bytes, start: int, end: int, budget: list[int] | None = None) -> None:
        self.data = data
        self.start = start
        self.end = end
        self._budget = budget if budget is not None else [FIELDS]

    def __iter__(self) -> Iterator[Field]:
        at = self.start
        while at < self.end:
            self._budget[0] -= 1
            if self._budget[0] < 0:
                raise _damage(at, "more fields than any model has")
            tag, at = self._varint(at)
            number, kind = tag >> 3, tag & 7
            if kind == VARINT:
                start = at
                value, at = self._varint(at)
                yield Field(number, kind, start, at, value)
                continue
            if kind == BYTES:
                size, at = self._varint(at)
            elif kind in (FIXED64, FIXED32):
                size = 8 if kind == FIXED64 else 4
            else:
                raise _damage(at, f"wire type {kind}")
            if not number or size > self.end - at:
                raise _damage(at, f"field {number} of {size} bytes where {self.end - at} are left")
            yield Field(number, kind, at, at + size)
            at += size

    def inner(self, field: Field) -> "Message":
        """Return the message that a field holds."""
        return Message(self.data, field.start, field.end, self._budget)

    def bytes(self, field: Field) -> bytes:
        """Return the content of a field."""
        return bytes(self.data[field.start : field.end])

    def text(self, field: Field) -> str:
        """Return the content of a field as text, with a mark for what is none."""
        return self.bytes(field).decode("utf-8", "replace")

    def float32(self, field: Field) -> float:
        """Return the content of a fixed field as a float."""
        return float(struct.unpack("<f", self.bytes(field))[0])

    def _varint(self, at: int) -> tuple[int, int]:
        value = shift = 0
        while at < self.end and shift < 64:
            byte = self.data[at]
            value |= (byte & 0x7F) << shift
            at += 1
            if byte < 0x80:
                return value, at
            shift += 7
        raise _damage(at, "a number that does not end")


def mapped(path: Path) -> mmap.mmap:
    """Return a file mapped into memory for reading.

    Raises:
        ArtifactError: it is no file, cannot be read, or is empty.
    """
    try:
        with open_regular(path) as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise ArtifactError(f"expected a model file at {path}, found: {error.strerror or error}") from error
    except ValueError as error:
        raise ArtifactError(f"expected a model file at {path}, found no bytes in it") from error


def signed(value: int) -> int:
    """Return a varint as the signed 64-bit integer that it stands for."""
    return value - (1 << 64) if value >= 1 << 63 else value


def _damage(at: int, found: str) -> ArtifactError:
    return ArtifactError(f"expected a whole protocol buffer, found {found} at byte {at}; the file is cut or no model")
