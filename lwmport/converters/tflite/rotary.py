"""Rotary positions without taking pairs apart.

A pair (a, b) becomes (a cos - b sin, b cos + a sin). With each cosine and sine written twice, that is x * cos +
swap(x) * sin, where swap makes (-b, a) of (a, b): a product with a constant matrix of ones, which is exact.
"""

from typing import Any

import numpy as np

from lwmport.converters.tflite.contraction import fully_connected
from lwmport.converters.tflite.elementwise import combine
from lwmport.converters.tflite.emitter import Emitter
from lwmport.converters.tflite.graph import Tensor
from lwmport.graphs.atoms import shape_of
from lwmport.types import Array


def swapped_pairs(e: Emitter, equation: Any) -> None:
    """Emit x * cos + FULLY_CONNECTED(x) * sin; the angles are written twice once for all layers."""
    (x, *angles), (out,) = equation.invars, equation.outvars
    value = e.read(x)
    cos, sin = (_twice(e, angle) for angle in angles)
    swapped = fully_connected(e, value, e.graph.constant(_swap(int(value.shape[-1]))))
    e.bind(out, combine(e, "ADD", [combine(e, "MUL", [value, cos]), combine(e, "MUL", [swapped, sin])]))


def _twice(e: Emitter, angle: Any) -> Tensor:
    """Return angles [b, s, d / 2] as [b, 1, s, d], every one beside itself."""
    key = ("twice", angle)
    if key not in e.notes:
        batch, length, half = shape_of(angle)
        matrix = e.graph.constant(np.repeat(np.eye(int(half), dtype=np.float32), 2, axis=0))
        wide = fully_connected(e, e.read(angle), matrix)
        e.notes[key] = e.reshape(wide, (batch, 1, length, 2 * int(half)))
    found: Tensor = e.notes[key]
    return found


def _swap(size: int) -> Array:
    """Return the matrix [size, size] whose product with (a, b, ...) is (-b, a, ...)."""
    return np.kron(np.eye(size // 2, dtype=np.float32), np.array([[0, -1], [1, 0]], np.float32))
