"""Which pixel a nearest Resize takes, and whether that depends on how a tie is broken.

Formulas: onnx/docs/Operators.md, Resize (coordinate_transformation_mode, nearest_mode).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from lwmport.types import Array

COORDINATES: Final[Mapping[str, Callable[[Array, float, int, int], Array]]] = {
    "half_pixel": lambda at, scale, _old, _new: (at + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda at, scale, _old, new: (at + 0.5) / scale - 0.5 if new > 1 else at * 0.0,
    "asymmetric": lambda at, scale, _old, _new: at / scale,
    "align_corners": lambda at, _scale, old, new: at * (old - 1) / (new - 1) if new > 1 else at * 0.0,
    "tf_half_pixel_for_nn": lambda at, scale, _old, _new: (at + 0.5) / scale,
}
"""Mode -> the coordinate in the input of each pixel of the output, from (positions, scale, old size, new size)."""

LOOKED_AT: Final = 1 << 18
"""Pixels of an axis that are looked at: a file of 143 bytes can have a thousand million."""

ROUND_DOWN: Final = "round_prefer_floor"
ROUND_UP: Final = "round_prefer_ceil"


def taken(modes: tuple[str, str], scale: float, old: int, new: int) -> tuple[float, ...] | None:
    """Return the input pixel of the first `LOOKED_AT` output pixels along one axis.

    ``modes`` are coordinate_transformation_mode and nearest_mode. None for a mode without a formula here, and for
    sizes or a scale that are not above zero.
    """
    coordinates, nearest = modes
    if coordinates not in COORDINATES or nearest not in _ROUND or not (0 < scale < np.inf and old > 0 and new > 0):
        return None
    places = COORDINATES[coordinates](np.arange(min(new, LOOKED_AT), dtype=np.float64), scale, old, new)
    return tuple(np.clip(_ROUND[nearest](places), 0, old - 1).tolist())


def same_for_any_rounding(modes: tuple[str, str], scales: Sequence[float], sizes: Sequence[tuple[int, int]]) -> bool:
    """Return whether every axis takes the same pixels whether ties go up or down; ``sizes`` are (old, new).

    Of axes beyond `LOOKED_AT` the beginning is looked at: what ties there are repeat.
    """
    coordinates, _ = modes
    for scale, (old, new) in zip(scales, sizes, strict=True):
        wanted = taken(modes, scale, old, new)
        if wanted is None or any(
            taken((coordinates, mode), scale, old, new) != wanted for mode in (ROUND_DOWN, ROUND_UP)
        ):
            return False
    return True


_ROUND: Final[Mapping[str, Callable[[Array], Array]]] = {
    ROUND_DOWN: lambda places: np.ceil(places - 0.5),
    ROUND_UP: lambda places: np.floor(places + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}
