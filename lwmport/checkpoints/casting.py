"""One floating dtype becomes another, rounded to nearest even; a value that would become infinite is an error."""

from typing import Any, Final

import numpy as np

from lwmport.errors import CheckpointError
from lwmport.types import Array

INFINITY: Final = {"float16": np.uint16(0x7C00), "bfloat16": np.uint16(0x7F80)}
"""The bits of infinity where two bytes hold the number; numpy's own tests of these are slow."""

MAGNITUDE: Final = np.uint16(0x7FFF)
"""Every bit but the sign's."""


def cast(array: Array, dtype: np.dtype[Any], name: str) -> Array:
    """Return ``array`` as ``dtype``, itself if it is that already; ``name`` is the tensor's, for the message.

    Infinities and NaN stay what they are.

    Raises:
        CheckpointError: a finite value has no finite neighbour in ``dtype``; the largest is named.
    """
    if array.dtype == dtype:
        return array
    # numpy warns where it knows; what is written is checked below, in every dtype alike.
    with np.errstate(over="ignore", invalid="ignore"):
        made: Array = array.astype(dtype)
    if made.dtype.name.startswith(("float", "bfloat")) and _infinite(made).any():
        _check(array, made, name)
    return made


def _check(array: Array, made: Array, name: str) -> None:
    lost = _infinite(made) & np.isfinite(array)
    if lost.any():
        largest = np.abs(array[np.isfinite(array)].astype(np.float64)).max()
        raise CheckpointError(
            f"{name}: expected values that {made.dtype.name} can hold, found {largest:.6g} as the largest of "
            f"{np.count_nonzero(lost):,} that would become infinite; choose bfloat16 or float32",
        )


def _infinite(array: Array) -> Array:
    bits = INFINITY.get(array.dtype.name)
    if bits is None:
        return np.isinf(array)
    found: Array = (array.view(np.uint16) & MAGNITUDE) == bits
    return found
