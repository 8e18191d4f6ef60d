"""Inputs that any model of a signature takes: drawn pictures, and seeded numbers in the ranges that it has."""

from typing import Final

import numpy as np

from lwmport.targets.compile.job import Gear, dynamic_names, sized
from lwmport.types import Array, Kind, Signature, TensorSpec, dtype_of, within_tables
from lwmport.validators.drawn import SIDE, as_picture, drawn
from lwmport.validators.pictures import layout_of, scaled

SEED: Final = 0
DYNAMIC: Final = 2
"""The size of a dynamic dimension where nothing is said: not 1, which broadcasts."""


def samples(specs: tuple[TensorSpec, ...], gear: Gear, *, masks: bool = True) -> dict[str, Array]:
    """Return one array for each input: drawings for what looks like a picture, numbers of a normal distribution.

    Integers lie inside of their range. Those without one are 0 and 1: places in nearly every table, and masks that
    leave something and take something away in each row, whichever of the two their 1 means. Without ``masks`` they are
    0.
    """
    generator = np.random.default_rng(SEED)
    names = dynamic_names(Signature(inputs=specs, outputs=()))
    specs = tuple(map(as_picture, specs))
    sides = {dim: SIDE for spec in specs for dim in _sides(spec)}
    gear = {**dict.fromkeys(names, DYNAMIC), **sides, **gear}
    return within_tables(specs, {spec.name: _sample(spec, sized(spec, gear), generator, masks=masks) for spec in specs})


def _sides(spec: TensorSpec) -> list[str]:
    """Return the names of a picture's height and width, where they are open."""
    sizes = zip(spec.layout, spec.shape, strict=False) if spec.kind is Kind.PICTURE else ()
    return [size for axis, size in sizes if axis in "HW" and isinstance(size, str)]


def _sample(spec: TensorSpec, shape: tuple[int, ...], generator: np.random.Generator, *, masks: bool) -> Array:
    dtype = dtype_of(spec.dtype)
    if spec.kind is Kind.PICTURE and len(shape) == len(layout_of(spec)) == 4:
        sizes = dict(zip(layout_of(spec), shape, strict=True))
        return scaled(drawn(sizes["N"], (sizes["H"], sizes["W"]), sizes["C"]), spec)
    if dtype.kind in "iub":
        if spec.value_range is None:
            return _mask(shape, generator).astype(dtype) if masks else np.zeros(shape, dtype)
        low, high = spec.value_range
        return generator.integers(int(low), int(high), shape, endpoint=True).astype(dtype)
    return generator.standard_normal(shape).astype(dtype)


def _mask(shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """Return 0 and 1 at random. Each row begins with 1, which even a causal mask sees, and ends with 0."""
    found = generator.integers(0, 1, shape, endpoint=True)
    if shape:
        found[..., -1:] = 0
        found[..., :1] = 1
    return found
