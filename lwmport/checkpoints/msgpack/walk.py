"""Walks msgpack without reading payloads: small values become Python's, binary ones the place where they stand.

All of the format's encodings are read. Source: https://github.com/msgpack/msgpack/blob/master/spec.md
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from lwmport.checkpoints.cursor import Cursor
from lwmport.checkpoints.tree import MAX_NAME, put
from lwmport.errors import CheckpointError

MAX_OBJECTS: Final = 1_000_000
"""Objects in one walk. Each takes memory here, and a file can hold one in every byte."""

MAX_DEPTH: Final = 64
"""Values inside each other. Each takes up to five of Python's thousand frames."""


@dataclass(frozen=True, slots=True)
class Blob:
    """Binary data (``bin``) that stays in the file."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Extension:
    """An application's own type (``ext``) whose data stays in the file."""

    code: int
    offset: int
    length: int


class Walker:
    """Reads msgpack objects one after another. Lengths are held against the file before anything is made of them."""

    def __init__(self, cursor: Cursor, objects: int = MAX_OBJECTS) -> None:
        self.cursor = cursor
        self._objects = objects
        self._depth = 0

    def value(self) -> object:
        """Return the next object.

        Raises:
            CheckpointError: truncated, damaged, nested too deeply, or of too many parts.
        """
        self._objects -= 1
        if self._objects < 0:
            raise CheckpointError("expected a tree of tensors, found too many msgpack objects")
        code = self.cursor.unsigned(1, "big")
        if code < 0x80:
            return code
        if code >= 0xE0:
            return code - 0x100
        for first, last, read in FIXED:
            if first <= code <= last:
                return read(self, code - first)
        return self._tagged(code)

    def array(self, count: int) -> list[object]:
        """Return the ``count`` objects that follow."""
        self._enter(count)
        values = [self.value() for _ in range(count)]
        self._depth -= 1
        return values

    def map(self, count: int) -> dict[str, object]:
        """Return the ``count`` pairs that follow."""
        self._enter(2 * count)
        values: dict[str, object] = {}
        for _ in range(count):
            put(values, self.value(), self.value())
        self._depth -= 1
        return values

    def text(self, length: int) -> str:
        """Return the text of ``length`` bytes that follows; it can only be a name."""
        if length > MAX_NAME:
            raise CheckpointError(f"expected a text of at most {MAX_NAME} bytes, found {length}")
        offset = self.cursor.position
        try:
            return self.cursor.take(length).decode()
        except UnicodeDecodeError as error:
            raise CheckpointError(f"damaged: no UTF-8 text at offset {offset}: {error.reason}") from error

    def blob(self, length: int) -> Blob:
        """Step over binary data."""
        return Blob(self.cursor.skip(length), length)

    def extension(self, length: int) -> Extension:
        """Step over the type code and the data of an extension."""
        (code,) = struct.unpack("b", self.cursor.take(1))
        return Extension(code, self.cursor.skip(length), length)

    def number(self, form: str) -> object:
        """Return a number of a `struct` form."""
        (value,) = struct.unpack(form, self.cursor.take(struct.calcsize(form)))
        return value

    def sized(self, width: int, read: Callable[["Walker", int], object]) -> object:
        """Read a length of ``width`` bytes, and what is that long."""
        return read(self, self.cursor.unsigned(width, "big"))

    def _enter(self, count: int) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise CheckpointError(f"expected at most {MAX_DEPTH} msgpack values inside each other, found more")
        if count > self.cursor.left:
            raise CheckpointError(f"truncated: expected {count} more objects, found {self.cursor.left} bytes")

    def _tagged(self, code: int) -> object:
        read = TAGGED.get(code)
        if read is None:
            offset = self.cursor.position - 1
            raise CheckpointError(f"damaged, or no msgpack: unknown type {code:#04x} at offset {offset}")
        return read(self)


FIXED: Final = ((0x80, 0x8F, Walker.map), (0x90, 0x9F, Walker.array), (0xA0, 0xBF, Walker.text))
"""Types whose code holds their length: (first code, last code, reader)."""

TAGGED: Final[Mapping[int, Callable[[Walker], object]]] = {
    0xC0: lambda _: None,
    0xC2: lambda _: False,
    0xC3: lambda _: True,
    0xC4: partial(Walker.sized, width=1, read=Walker.blob),
    0xC5: partial(Walker.sized, width=2, read=Walker.blob),
    0xC6: partial(Walker.sized, width=4, read=Walker.blob),
    0xC7: partial(Walker.sized, width=1, read=Walker.extension),
    0xC8: partial(Walker.sized, width=2, read=Walker.extension),
    0xC9: partial(Walker.sized, width=4, read=Walker.extension),
    0xCA: partial(Walker.number, form=">f"),
    0xCB: partial(Walker.number, form=">d"),
    0xCC: partial(Walker.number, form=">B"),
    0xCD: partial(Walker.number, form=">H"),
    0xCE: partial(Walker.number, form=">I"),
    0xCF: partial(Walker.number, form=">Q"),
    0xD0: partial(Walker.number, form=">b"),
    0xD1: partial(Walker.number, form=">h"),
    0xD2: partial(Walker.number, form=">i"),
    0xD3: partial(Walker.number, form=">q"),
    0xD4: partial(Walker.extension, length=1),
    0xD5: partial(Walker.extension, length=2),
    0xD6: partial(Walker.extension, length=4),
    0xD7: partial(Walker.extension, length=8),
    0xD8: partial(Walker.extension, length=16),
    0xD9: partial(Walker.sized, width=1, read=Walker.text),
    0xDA: partial(Walker.sized, width=2, read=Walker.text),
    0xDB: partial(Walker.sized, width=4, read=Walker.text),
    0xDC: partial(Walker.sized, width=2, read=Walker.array),
    0xDD: partial(Walker.sized, width=4, read=Walker.array),
    0xDE: partial(Walker.sized, width=2, read=Walker.map),
    0xDF: partial(Walker.sized, width=4, read=Walker.map),
}
"""Reader of every other type code; 0xC1 is the one that msgpack never uses."""
