"""An array of a bundle, read from its .npy: the header is believed only where the record says the same."""

import io
import math
import tokenize
from typing import Final

import numpy as np
from numpy.lib import format as npy

from lwmport.errors import ArtifactError, one_line
from lwmport.handoff.record import ArrayFile
from lwmport.types import Array

HEADER: Final = 1 << 16
"""Bytes that the header of a .npy may have, more than numpy writes for any array of numbers."""

DTYPES: Final = ("bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8")
"""Dtypes of arrays in a bundle: numbers alone."""

_DAMAGE: Final = (ValueError, SyntaxError, TypeError, OverflowError, RecursionError, MemoryError, tokenize.TokenError)


def array_of(content: bytes, file: ArrayFile) -> Array:
    """Return the array that the bytes of a .npy hold; nothing in them is executed.

    Raises:
        ArtifactError: they are none in C order and little-endian, or the array is not the one that the record tells.
    """
    if file.dtype not in DTYPES or any(size < 0 for size in file.shape):
        raise ArtifactError(f"{file.npy}: expected numbers and no negative sizes, found {file.dtype}{list(file.shape)}")
    stream = io.BytesIO(content)
    try:
        version = npy.read_magic(stream)
        if version != (1, 0):
            raise ArtifactError(f"{file.npy}: expected version 1.0 of the format, found {version[0]}.{version[1]}")
        shape, turned, dtype = npy.read_array_header_1_0(stream, max_header_size=HEADER)
    except _DAMAGE as error:
        raise ArtifactError(f"{file.npy}: expected a .npy file, found damage: {one_line(error)}") from error
    wanted = np.dtype(file.dtype).newbyteorder("<")
    if (shape, dtype) != (file.shape, wanted) or turned:
        order = " in Fortran order" if turned else ""
        raise ArtifactError(
            f"{file.npy}: expected {file.dtype}{list(file.shape)} as the record says, found {dtype}{list(shape)}{order}"
        )
    rest = len(content) - stream.tell()
    if rest != math.prod(shape) * wanted.itemsize:
        raise ArtifactError(f"{file.npy}: expected {file.dtype}{list(shape)}, found {rest} bytes")
    return np.frombuffer(content, wanted, offset=stream.tell()).reshape(shape)
