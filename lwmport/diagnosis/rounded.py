"""Whether values are others rounded to a narrower dtype, while they are stored in a wider one."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

import numpy as np

from lwmport.diagnosis.blockwise import every
from lwmport.types import Array, dtype_of

WIDTH: Final[Mapping[str, float]] = MappingProxyType({"bfloat16": 2.0**-7, "float16": 2.0**-10})
"""dtype -> its unit in the last place of 1."""

LEVELS: Final = 256
"""Values that 8 bits have; of 4 bits there are fewer."""

FEWEST: Final = 4
"""Levels below which they mean nothing: any two values are on some grid."""

SAMPLE: Final = 1 << 18


def to_half(x: Array) -> Array:
    """Return values rounded to float16; what is beyond its range is infinite."""
    return x.astype(np.float16).astype(np.float64)


def to_bfloat(x: Array) -> Array:
    """Return values rounded to bfloat16."""
    return x.astype(dtype_of("bfloat16")).astype(np.float64)


def to_steps(x: Array, axis: int | None = None, bits: int = 8) -> Array:
    """Return values rounded to integers of some bits with one scale, or one for each slice of an axis."""
    others = None if axis is None else tuple(at for at in range(x.ndim) if at != axis)
    step = np.abs(x).max(axis=others, keepdims=others is not None) / (2 ** (bits - 1) - 1)
    step = np.where(step == 0, 1, step)
    return np.asarray(np.round(x / step) * step)


ROUNDINGS: Final[Mapping[str, Callable[[Array], Array]]] = MappingProxyType({"float16": to_half, "bfloat16": to_bfloat})


def rounding_of(right: Array, found: Array) -> str | None:
    """Return the dtype that the values found are rounded to, None if they are not rounded right ones."""
    if found.dtype.kind != "f" or found.dtype.itemsize < 4:
        return None
    for name, unit in WIDTH.items():
        if every(partial(_is_rounded, name, unit), right, found):
            return name
    axes = (None, *range(right.ndim)) if right.ndim > 1 else (None,)
    return next((steps for axis in axes if (steps := _steps_of(right, found, axis))), None)


def _is_rounded(name: str, unit: float, right: Array, found: Array) -> bool:
    a, b = right.astype(np.float64), found.astype(np.float64)
    smallest = 6e-8 if name == "float16" else 0.0
    return bool((ROUNDINGS[name](b) == b).all() and (np.abs(a - b) <= unit * np.abs(a) + smallest).all())


def _steps_of(right: Array, found: Array, axis: int | None) -> str | None:
    """Return the integers that values are whole steps of, if each is the step that is next to the right value."""
    slices = [()] if axis is None else [(slice(None),) * axis + (at,) for at in range(min(found.shape[axis], 32))]
    levels = 0
    for one in slices:
        a, b = (np.ravel(array[one])[:SAMPLE].astype(np.float64) for array in (right, found))
        values = np.unique(np.abs(b))
        if not FEWEST <= len(values) <= LEVELS // 2 + 1 or np.count_nonzero(b) < 2 * len(values):
            return None
        step = float(np.diff(values).min())
        if not (np.abs(b / step - np.round(b / step)) < 0.02).all() or (np.abs(a - b) > 0.51 * step).any():
            return None
        levels = max(levels, round(float(values.max()) / step))
    return "4-bit integers" if levels <= 8 else "8-bit integers"
