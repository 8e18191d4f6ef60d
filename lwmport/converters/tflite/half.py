"""Half precision: weights are stored as float16, and everything is computed in float32, which is what LiteRT has.

A weight of float16 in a program becomes a float16 constant behind a DEQUANTIZE, which XNNPACK and other delegates take
in while they prepare. Only the order of its elements may change on the way into the file; what is computed from weights
is computed in float32 and stored so. Vectors are stored as float32 too: they are small, and a bias has to be.
"""

from typing import Any, Final

import numpy as np

HALF: Final = "float16"

LAYOUTS: Final = frozenset({"convert_element_type", "copy", "reshape", "squeeze", "transpose"})
"""Primitives that keep every element of a float16 weight and its value."""


def computed(dtype: Any) -> str:
    """Return the dtype in which a value is computed: float32 for float16."""
    name = np.dtype(dtype).name
    return "float32" if name == HALF else name
