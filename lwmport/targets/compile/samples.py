"""Inputs that any model of a signature takes: seeded, inside of the ranges that it promises."""

from typing import Final

import numpy as np

from lwmport.targets.compile.job import Gear, dynamic_names, sized
from lwmport.types import Array, Kind, Signature, TensorSpec, dtype_of, within_tables

SEED: Final = 0
DYNAMIC: Final = 2
"""The size of a dynamic dimension where nothing is said: not 1, which broadcasts."""


def samples(specs: tuple[TensorSpec, ...], gear: Gear, *, masks: bool = True) -> dict[str, Array]:
    """Return one array for each input: integers inside of their range, numbers of a normal distribution.

    Integers without a range are 0 and 1: places in nearly every table, and masks that leave something and take
    something away in each row, whichever of the two their 1 means. Without ``masks`` they are 0.
    """
    generator = np.random.default_rng(SEED)
    names = dynamic_names(Signature(inputs=specs, outputs=()))
    gear = {**dict.fromkeys(names, DYNAMIC), **gear}
    return within_tables(specs, {spec.name: _sample(spec, sized(spec, gear), generator, masks=masks) for spec in specs})


def _sample(spec: TensorSpec, shape: tuple[int, ...], generator: np.random.Generator, *, masks: bool) -> Array:
    dtype = dtype_of(spec.dtype)
    if dtype.kind in "iub":
        if spec.value_range is None:
            return _mask(shape, generator).astype(dtype) if masks else np.zeros(shape, dtype)
        low, high = spec.value_range
        return generator.integers(int(low), int(high), shape, endpoint=True).astype(dtype)
    if spec.value_range and spec.kind is Kind.PICTURE:
        return generator.uniform(*spec.value_range, shape).astype(dtype)
    return generator.standard_normal(shape).astype(dtype)


def _mask(shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """Return 0 and 1 at random. Each row begins with 1, which even a causal mask sees, and ends with 0."""
    found = generator.integers(0, 1, shape, endpoint=True)
    if shape:
        found[..., -1:] = 0
        found[..., :1] = 1
    return found
