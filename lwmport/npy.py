"""Arrays out of the bytes of .npy files, where nothing is executed and no header makes memory that the file has not."""

import io
import math
import tokenize
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


def read(content: bytes, name: str) -> Array:
    """Return the array of numbers that the bytes of a .npy hold, as a view of them that cannot be written.

    Args:
        content: the whole file.
        name: what a message calls it.

    Raises:
        ArtifactError: they are no such file, or hold other things than numbers, or fewer or more of them than the
            header tells.
    """
    stream = io.BytesIO(content)
    try:
        version = npy.read_magic(stream)
        if version not in _READERS:
            raise ArtifactError(f"{name}: expected version 1 or 2 of .npy, found {version[0]}.{version[1]}")
        shape, turned, dtype = _READERS[version](stream, max_header_size=HEADER)
    except _DAMAGE as error:
        raise ArtifactError(f"{name}: expected a .npy file, found damage: {one_line(error)}") from error
    if dtype.kind not in "biuf" or any(size < 0 for size in shape):
        raise ArtifactError(f"{name}: expected numbers and no negative sizes, found {dtype}{list(shape)}")
    rest = len(content) - stream.tell()
    if rest != math.prod(shape) * dtype.itemsize:
        raise ArtifactError(f"{name}: expected {dtype}{list(shape)}, found {rest} bytes")
    return np.frombuffer(content, dtype, offset=stream.tell()).reshape(shape, order="F" if turned else "C")
