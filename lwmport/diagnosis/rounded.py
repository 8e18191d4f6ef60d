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

LEVELS: Final[Mapping[int, str]] = MappingProxyType(
    {7: "4-bit integers", 8: "4-bit integers", 127: "8-bit integers", 128: "8-bit integers"}
)
"""Steps of the largest value -> what has so many."""

FEWEST: Final = 4
"""Values besides the largest that a slice has at least, before it says something that all are whole steps."""

NEAR: Final = 0.02
"""Part of a step that a value may be beside it."""

MOST: Final = 32
"""Slices that are looked at; all are rounded or none."""

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
    pairs = list(zip(_slices(right, axis), _slices(found, axis), strict=True))
    telling = sum(len(np.unique(np.abs(other[other != 0]))) - 1 for _, other in pairs)
    if telling < FEWEST * len(pairs):
        return None
    for levels, name in LEVELS.items():
        if all(_is_stepped(one, other, levels) for one, other in pairs):
            return name
    return None


def _slices(values: Array, axis: int | None) -> list[Array]:
    """Return all values, or the first slices of an axis, as vectors in float64."""
    parts = [values] if axis is None else list(np.moveaxis(values, axis, 0)[:MOST])
    return [np.ravel(part)[:SAMPLE].astype(np.float64) for part in parts]


def _is_stepped(right: Array, found: Array, levels: int) -> bool:
    """Return whether values are steps of which the largest has ``levels``, each next to the right value."""
    step = float(np.abs(found).max()) / levels
    if not step:
        return False
    whole = np.abs(found / step - np.round(found / step)) < NEAR
    return bool(whole.all()) and bool((np.abs(right - found) <= (0.5 + NEAR) * step).all())
