"""Half precision: weights are stored as float16, and everything is computed in float32, which is what LiteRT has.

A weight of float16 in a program becomes a float16 constant behind a DEQUANTIZE, which XNNPACK and other delegates take
in while they prepare. Only the order of its elements may change on the way into the file; what is computed from weights
is computed in float32 and stored so. Vectors are stored as float32 too: they are small, and a bias has to be.

The same is done for a float32 weight of a program that a scheme of storage has in float16
(`lwmport.checkpoints.stored_weights`).
"""

from typing import Any, Final

import numpy as np

from lwmport.graphs import known

HALF: Final = "float16"

LAYOUTS: Final = known.LAYOUTS | {"convert_element_type"}
"""Primitives that keep every element of a float16 weight and its value."""


def computed(dtype: Any) -> str:
    """Return the dtype in which a value is computed: float32 for float16."""
    name = np.dtype(dtype).name
    return "float32" if name == HALF else name
