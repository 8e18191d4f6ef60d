"""Photographs to validate on: real inputs, the same on every machine, with nothing to download.

They ship inside the scikit-image wheel, are in the public domain or CC0, and are prepared as LWM prepares its own.
"""

from dataclasses import dataclass
from importlib import resources
from typing import Final

import numpy as np
from PIL import Image

from lwmport.errors import PortError, UsageError
from lwmport.types import Array


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
    if not 1 <= count <= len(PHOTOGRAPHS):
        raise UsageError(f"expected between 1 and {len(PHOTOGRAPHS)} photographs, found {count}")
    return np.stack([prepare(_open(photograph), resolution) for photograph in PHOTOGRAPHS[:count]])


def prepare(image: Image.Image, resolution: int) -> Array:
    """Return a picture as LWM feeds it to its VQGAN: float32 [resolution, resolution, 3] in [-1, 1].

    The short side is resized with Pillow's default filter (bicubic), the centre cut out, and x / 127.5 - 1 taken:
    ``_process_frame`` in LWM's lwm/vision_chat.py, to the bit.
    """
    width, height = image.size
    if width < height:
        size = (resolution, int(resolution * height / width))
    else:
        size = (int(resolution * width / height), resolution)
    left, top = (size[0] - resolution) / 2, (size[1] - resolution) / 2
    square = image.resize(size).crop((left, top, left + resolution, top + resolution))
    return np.asarray(np.array(square, dtype=np.float32) / 127.5 - 1)


def _open(photograph: Photograph) -> Image.Image:
    file = resources.files("skimage") / "data" / photograph.file
    try:
        with file.open("rb") as stream, Image.open(stream) as image:
            return image.convert("RGB")
    except OSError as error:
        raise PortError(
            f"expected the photograph {photograph.file} inside the scikit-image package, found none that can be read; "
            "run: pip install --force-reinstall scikit-image"
        ) from error
