"""Pictures that are drawn by code, for models of which only the shape of an input is known: noise is no picture.

On noise a detector finds nothing: all its outputs are near 0, and there is nothing to compare. A drawing has what
pictures have: large smooth areas, edges, lines like writing, and a little grain.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from lwmport.types import Array, Dim, Kind, TensorSpec

LEAST: Final = 16
"""Pixels that an axis of a picture has at least."""

SIDE: Final = 64
"""Pixels of an axis whose size is open: what most networks can halve as often as they do."""

CHANNELS: Final = (1, 3)
DTYPES: Final = ("float16", "float32", "float64", "bfloat16", "uint8")


def layout_of_picture(shape: Sequence[Dim], dtype: str) -> str:
    """Return ``NCHW`` or ``NHWC`` for the shape of a picture, and nothing for any other.

    A picture has four axes, one or three channels, and a height and a width of at least `LEAST`, or open ones.
    """
    if len(shape) != 4 or dtype not in DTYPES:
        return ""
    for layout in ("NCHW", "NHWC"):
        sizes = dict(zip(layout, shape, strict=True))
        if sizes["C"] in CHANNELS and all(_large(sizes[axis]) for axis in "HW"):
            return layout
    return ""


def _large(dim: Dim) -> bool:
    return not isinstance(dim, int) or dim < 1 or dim >= LEAST


def as_picture(spec: TensorSpec) -> TensorSpec:
    """Return the specification of an input that looks like a picture as that of one; of any other, as it is.

    Floats are taken to run from -1 to 1 and bytes from 0 to 255. Nothing in a file tells what its model was trained on.
    """
    layout = "" if spec.kind is Kind.PICTURE else layout_of_picture(spec.shape, spec.dtype)
    if not layout:
        return spec
    limits = (0.0, 255.0) if spec.dtype == "uint8" else (-1.0, 1.0)
    return TensorSpec(
        name=spec.name,
        shape=spec.shape,
        dtype=spec.dtype,
        kind=Kind.PICTURE,
        layout=layout,
        value_range=spec.value_range or limits,
        description=spec.description,
    )


def drawn(count: int, size: tuple[int, int], channels: int, seed: int = 0) -> Array:
    """Return drawings: float32 [count, height, width, channels] in [0, 255], others for each seed."""
    return np.stack([_drawing(size, channels, np.random.default_rng([seed, number])) for number in range(count)])


def _drawing(size: tuple[int, int], channels: int, random: np.random.Generator) -> Array:
    height, width = size
    down, across = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
    tilt = random.uniform(-1, 1, (2, channels))
    found = 128 + 60 * (tilt[0] * (down[..., None] - 0.5) + tilt[1] * (across[..., None] - 0.5))
    for _ in range(4):
        colour = random.uniform(0, 255, channels)
        middle, radius = random.uniform(0.1, 0.9, 2), random.uniform(0.08, 0.25)
        found[(down - middle[0]) ** 2 + (across - middle[1]) ** 2 < radius**2] = colour
        top, left = random.uniform(0, 0.8, 2)
        high, wide = random.uniform(0.05, 0.3, 2)
        found[(down >= top) & (down < top + high) & (across >= left) & (across < left + wide)] = colour[::-1]
    _write(found, random)
    return np.asarray(np.clip(found + random.normal(0, 2, found.shape), 0, 255), np.float32)


def _write(found: Array, random: np.random.Generator) -> None:
    """Draw a line of dark strokes on a light ground, like writing, across the middle."""
    height, width, _ = found.shape
    top, bottom = height * 2 // 5, height * 3 // 5
    found[top:bottom] = 235
    step = max(width // 24, 2)
    for left in range(step, width - step, step):
        first, last = sorted(random.integers(top, bottom, 2))
        found[first : last + 1, left : left + max(step // 3, 1)] = 20
        found[(first + last) // 2, left : left + step // 2 + 1] = 20
