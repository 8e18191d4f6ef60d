"""Inputs that any model of a signature takes: seeded, inside of the ranges that it promises."""

from typing import Final

import numpy as np

from lwmport.targets.compile.job import Gear, dynamic_names, sized
from lwmport.types import Array, Kind, Signature, TensorSpec, dtype_of

SEED: Final = 0
DYNAMIC: Final = 2
"""The size of a dynamic dimension where nothing is said: not 1, which broadcasts."""


def samples(specs: tuple[TensorSpec, ...], gear: Gear) -> dict[str, Array]:
    """Return one array for each input: integers inside of their range or 0, numbers of a normal distribution."""
    generator = np.random.default_rng(SEED)
    names = dynamic_names(Signature(inputs=specs, outputs=()))
    gear = {**dict.fromkeys(names, DYNAMIC), **gear}
    return {spec.name: _sample(spec, gear, generator) for spec in specs}


def _sample(spec: TensorSpec, gear: Gear, generator: np.random.Generator) -> Array:
    shape = sized(spec, gear)
    dtype = dtype_of(spec.dtype)
    if dtype.kind in "iub":
        low, high = spec.value_range or (0, 0)
        return generator.integers(int(low), int(high), shape, endpoint=True).astype(dtype)
    if spec.value_range and spec.kind is Kind.PICTURE:
        return generator.uniform(*spec.value_range, shape).astype(dtype)
    return generator.standard_normal(shape).astype(dtype)
