"""Photographs to validate on: real inputs, the same on every machine, with nothing to download.

They ship inside the scikit-image wheel, are in the public domain or CC0, and are prepared as LWM prepares its own.
"""

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

import numpy as np

from lwmport.errors import PortError, UsageError
from lwmport.types import Array, Fit, Normalisation, Resizing, TensorSpec
from lwmport.validators.resizing import USUAL, resized

if TYPE_CHECKING:
    from PIL import Image

LEVELS: Final = 255
"""The largest value of an 8-bit channel."""

BYTES: Final = "uint8"
"""The dtype of pictures that a model scales itself."""


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """One file of ``skimage/data``, and whom to thank for it."""

    name: str
    file: str
    credit: str


PHOTOGRAPHS: Final = (
    Photograph(name="astronaut", file="astronaut.png", credit="Eileen Collins; NASA, public domain"),
    Photograph(name="coffee", file="coffee.png", credit="Rachel Michetti, CC0"),
    Photograph(name="cat", file="chelsea.png", credit="Stefan van der Walt, CC0"),
    Photograph(name="rocket", file="rocket.jpg", credit="DSCOVR on Falcon 9; SpaceX, public domain"),
    Photograph(name="galaxies", file="hubble_deep_field.jpg", credit="Hubble eXtreme Deep Field; NASA, public domain"),
    Photograph(name="retina", file="retina.jpg", credit="Mikael Häggström, CC0"),
)
"""In the order in which they are used: smooth and detailed, bright and dark ones first."""


def photographs(count: int, resolution: int = 256) -> Array:
    """Return the first ``count`` photographs: float32 [count, resolution, resolution, 3] in [-1, 1].

    Raises:
        UsageError: there are not so many.
        PortError: the installed scikit-image lacks one.
    """
    return np.asarray(pixels(count, (resolution, resolution)) / 127.5 - 1)


def pixels(count: int, size: tuple[int, int], how: Resizing = USUAL) -> Array:
    """Return the first ``count`` photographs of a height and width: float32 [count, height, width, 3] in [0, 255].

    Where a picture must have the size, they are cut to it, for they have other ones.

    Raises:
        UsageError: there are not so many.
        PortError: the installed scikit-image lacks one.
    """
    if not 1 <= count <= len(PHOTOGRAPHS):
        raise UsageError(f"expected between 1 and {len(PHOTOGRAPHS)} photographs, found {count}")
    how = USUAL if how.fit is Fit.NONE else how
    return np.stack([resized(_open(photograph), size, how) for photograph in PHOTOGRAPHS[:count]])


def scaled(pictures: Array, spec: TensorSpec, how: Normalisation | None = None) -> Array:
    """Return pictures [n, height, width, channels] in [0, 255] as an input: in its range, layout and dtype.

    Args:
        pictures: float32.
        spec: the input. Its ``value_range`` is that of LWM's pictures, [-1, 1], if it has none. Bytes stay bytes.
        how: mean and deviation of each channel, which then decide in place of the range.
    """
    if spec.dtype == BYTES:
        found = np.rint(pictures)
    elif how is None:
        low, high = spec.value_range or (-1.0, 1.0)
        found = pictures / (LEVELS / (high - low)) + low
    else:
        mean, deviation = (np.asarray(values, np.float32) for values in (how.mean, how.deviation))
        found = (pictures / np.float32(LEVELS) - mean) / deviation
    axes = ["NHWC".index(axis) for axis in layout_of(spec)]
    return np.ascontiguousarray(found.transpose(axes).astype(spec.dtype, copy=False))


def layout_of(spec: TensorSpec) -> str:
    """Return the layout of pictures: the one that is told, else NHWC."""
    return spec.layout or "NHWC"


def channels_last(spec: TensorSpec) -> tuple[int, int, int]:
    """Return height, width and channels of a picture.

    Raises:
        UsageError: it has other axes than N, H, W and C, or one of these sizes is not fixed.
    """
    sizes = dict(zip(layout_of(spec), spec.shape, strict=False))
    height, width, channels = (sizes.get(axis) for axis in "HWC")
    if len(spec.shape) != 4 or not all(isinstance(size, int) for size in (height, width, channels)):
        raise UsageError(
            f"expected the picture {spec.name} with the axes N, H, W and C, all but N of fixed size, found "
            f"{list(spec.shape)} in the layout {layout_of(spec)}"
        )
    return int(height or 0), int(width or 0), int(channels or 0)


def _open(photograph: Photograph) -> "Image.Image":
    from PIL import Image

    file = resources.files("skimage") / "data" / photograph.file
    try:
        with file.open("rb") as stream, Image.open(stream) as image:
            return image.convert("RGB")
    except OSError as error:
        raise PortError(
            f"expected the photograph {photograph.file} inside the scikit-image package, found none that can be read; "
            "run: pip install --force-reinstall scikit-image"
        ) from error
