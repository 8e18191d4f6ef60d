"""Colour maps, built here: one that reads as height in any light, and one that tells names apart."""

import colorsys
from typing import Final

import numpy as np

from lwmport.types import Array

INFERNO: Final = (
    (0, 0, 4),
    (33, 12, 74),
    (85, 15, 109),
    (136, 34, 106),
    (187, 55, 84),
    (227, 89, 51),
    (249, 140, 10),
    (249, 201, 50),
    (252, 255, 164),
)
"""Nine anchors of inferno (van der Walt and Smith, 2015, CC0): lightness rises evenly, in grey and to colour-blind
eyes as well."""

MATCH: Final = (52, 62, 78)
LINE: Final = (20, 24, 31)
MISMATCH: Final = (255, 138, 0)
INCOMPARABLE: Final = (0, 229, 255)
"""Cyan is nowhere in inferno, so a NaN cannot be taken for a number."""

GOLDEN: Final = 0.6180339887498949


def heat(values: Array, top: float) -> Array:
    """Return uint8 [..., 3]: 0 is black, ``top`` and above pale yellow, what is not finite cyan.

    Args:
        values: not negative, any shape.
        top: the value of the brightest colour; 0 paints everything black.
    """
    finite = np.isfinite(values)
    scaled = np.where(finite, values, 0.0) / top if top > 0 else np.zeros(values.shape)
    colours: Array = _table()[np.rint(np.clip(scaled, 0, 1) * 255).astype(np.intp)]
    colours[~finite] = INCOMPARABLE
    return colours


def codes(indices: Array) -> Array:
    """Return uint8 [..., 3]: one colour a code, neighbours far apart (hues step by the golden ratio)."""
    known, places = np.unique(indices, return_inverse=True)
    palette: Array = np.array([_code(int(code)) for code in known], np.uint8)
    return np.asarray(palette[places.reshape(indices.shape)])


def _code(code: int) -> tuple[int, int, int]:
    lightness, saturation = 0.35 + 0.1 * (code % 4), 0.45 + 0.15 * (code // 4 % 3)
    red, green, blue = colorsys.hls_to_rgb(code * GOLDEN % 1, lightness, saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


def _table() -> Array:
    """Return the 256 colours between the anchors, uint8 [256, 3]."""
    anchors = np.array(INFERNO, np.float64)
    steps, places = np.linspace(0, 1, 256), np.linspace(0, 1, len(anchors))
    table: Array = np.stack([np.interp(steps, places, channel) for channel in anchors.T], axis=-1)
    return np.rint(table).astype(np.uint8)
