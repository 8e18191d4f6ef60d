"""An array of a bundle, read from its .npy, and believed only where the record says the same of it."""

from typing import Final

import numpy as np

from lwmport import npy
from lwmport.errors import ArtifactError
from lwmport.handoff.record import ArrayFile
from lwmport.types import Array

DTYPES: Final = ("bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8")
"""Dtypes of arrays in a bundle."""


def array_of(content: bytes, file: ArrayFile) -> Array:
    """Return the array that the bytes of a .npy hold; nothing in them is executed.

    Raises:
        ArtifactError: they are none in C order and little-endian, or the array is not the one that the record tells.
    """
    if file.dtype not in DTYPES or any(size < 0 for size in file.shape):
        raise ArtifactError(f"{file.npy}: expected numbers and no negative sizes, found {file.dtype}{list(file.shape)}")
    found = npy.read(content, file.npy)
    order = "" if found.flags.c_contiguous else " in Fortran order"
    if (found.shape, found.dtype) != (file.shape, np.dtype(file.dtype).newbyteorder("<")) or order:
        shown = f"{found.dtype}{list(found.shape)}{order}"
        raise ArtifactError(f"{file.npy}: expected {file.dtype}{list(file.shape)} as the record says, found {shown}")
    return found
