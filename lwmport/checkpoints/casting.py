"""One floating dtype becomes another, rounded to nearest even; a value that would become infinite is an error.

Not for the float8 dtypes, some of which have no infinity: no model is converted to them.
"""

from typing import Any, Final

import numpy as np

from lwmport.errors import CheckpointError
from lwmport.types import Array

INFINITY: Final = {"float16": 0x7C00, "bfloat16": 0x7F80}
"""The bits of infinity where two bytes hold the number: larger ones are NaN, smaller ones finite."""

SIGN: Final = 0x8000
BLOCK: Final = 1 << 17
"""Values cast at once: they are still in the processor's cache when they are checked."""


ADVICE: Final = "choose bfloat16 or float32, or keep its module with --keep-float32"
"""What to do about values that do not fit, where the dtype is the precision that was asked for."""


def cast(array: Array, dtype: np.dtype[Any], name: str, advice: str = ADVICE) -> Array:
    """Return ``array`` as ``dtype``, itself if it is that already; ``name`` is the tensor's, for the message.

    Infinities and NaN stay what they are.

    Raises:
        CheckpointError: a finite value has no finite neighbour in ``dtype``; the largest is named.
    """
    if array.dtype == dtype:
        return array
    made = np.empty(array.shape, dtype)
    source, target = array.reshape(-1), made.reshape(-1)
    # numpy warns where it knows; what is written is checked here, in every dtype alike.
    with np.errstate(over="ignore", invalid="ignore"):
        for begin in range(0, source.size, BLOCK):
            block = target[begin : begin + BLOCK]
            block[:] = source[begin : begin + BLOCK]
            if not _is_finite(block):
                _check(source[begin:], target[begin:], name, advice)
                break
    return made


def _is_finite(block: Array) -> bool:
    """Return whether no value is infinite or NaN, from two maxima: numpy's own test of two-byte floats is slow."""
    infinity = INFINITY.get(block.dtype.name)
    if infinity is None:
        return not np.issubdtype(block.dtype, np.floating) or bool(np.isfinite(block).all())
    return bool(block.view(np.int16).max() < infinity and block.view(np.uint16).max() < infinity | SIGN)


def _check(source: Array, target: Array, name: str, advice: str) -> None:
    """Cast the rest with care: what is not finite already may stay so, nothing else may become so."""
    largest, count = 0.0, 0
    for begin in range(0, source.size, BLOCK):
        values = source[begin : begin + BLOCK]
        target[begin : begin + BLOCK] = values
        made = target[begin : begin + BLOCK].astype(np.float64)
        lost = np.isinf(made) & np.isfinite(values.astype(np.float64))
        if lost.any():
            count += int(np.count_nonzero(lost))
            largest = max(largest, float(np.abs(values[lost].astype(np.float64)).max()))
    if count:
        raise CheckpointError(
            f"{name}: expected values that {target.dtype.name} can hold, found {largest:.6g} as the largest of "
            f"{count:,} that would become infinite; {advice}",
        )
