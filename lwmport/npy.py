"""Arrays out of the bytes of .npy files, where nothing is executed and no header makes memory that the file has not."""

import io
import math
import tokenize
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy

from lwmport.errors import ArtifactError, one_line
from lwmport.types import Array

HEADER: Final = 1 << 16
"""Bytes that a header may have, more than numpy writes for any array of numbers."""

_DAMAGE: Final = (ValueError, SyntaxError, TypeError, OverflowError, RecursionError, MemoryError, tokenize.TokenError)
_READERS: Final[dict[tuple[int, int], Any]] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}


@dataclass(frozen=True, kw_only=True)
class Head:
    """What the front of a .npy says: shape, dtype, and where the numbers begin. ``turned`` of Fortran's order."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    turned: bool
    offset: int

    @property
    def bytes(self) -> int:
        """The bytes of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def numeric(self) -> bool:
        """Whether it promises numbers, and no negative sizes."""
        return self.dtype.kind in "biuf" and all(size >= 0 for size in self.shape)


def head(content: bytes, name: str) -> Head:
    """Return what the first `HEADER` bytes of a .npy, or more of them, say about it.

    Raises:
        ArtifactError: they are not the front of such a file.
    """
    stream = io.BytesIO(content)
    try:
        version = npy.read_magic(stream)
        if version not in _READERS:
            raise ArtifactError(f"{name}: expected version 1 or 2 of .npy, found {version[0]}.{version[1]}")
        shape, turned, dtype = _READERS[version](stream, max_header_size=HEADER)
    except _DAMAGE as error:
        raise ArtifactError(f"{name}: expected a .npy file, found damage: {one_line(error)}") from error
    return Head(shape=shape, dtype=dtype, turned=turned, offset=stream.tell())


def read(content: bytes, name: str) -> Array:
    """Return the array of numbers that the bytes of a .npy hold, as a view of them that cannot be written.

    Args:
        content: the whole file.
        name: what a message calls it.

    Raises:
        ArtifactError: they are no such file, or hold other things than numbers, or fewer or more of them than the
            header tells.
    """
    found = head(content, name)
    if not found.numeric:
        raise ArtifactError(f"{name}: expected numbers and no negative sizes, found {found.dtype}{list(found.shape)}")
    rest = len(content) - found.offset
    if rest != found.bytes:
        raise ArtifactError(f"{name}: expected {found.dtype}{list(found.shape)}, found {rest} bytes")
    flat = np.frombuffer(content, found.dtype, offset=found.offset)
    return flat.reshape(found.shape, order="F" if found.turned else "C")
