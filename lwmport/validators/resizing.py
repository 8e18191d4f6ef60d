"""A picture of any size, made to have the height and width of an input: by Pillow, whatever the model runs on."""

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from lwmport.errors import UsageError
from lwmport.types import Array, Fit, Resizing

if TYPE_CHECKING:
    from PIL import Image

Size: TypeAlias = tuple[int, int]
"""Width and height, in Pillow's order."""

MOST_PIXELS: Final = 80_000_000
"""Pixels of a picture, as it is and on its way."""

USUAL: Final = Resizing()


def resized(image: "Image.Image", size: tuple[int, int], how: Resizing = USUAL) -> Array:
    """Return a picture of a height and width: float32 [height, width, 3], whole numbers from 0 to 255.

    Args:
        image: in the mode RGB.
        size: height and width.
        how: how it is resized; by default as LWM does, ``_process_frame`` in its lwm/vision_chat.py, to the bit.

    Raises:
        UsageError: it has another size where it must have this one, or it is too large on its way.
    """
    high, wide = size
    found = _FITS[how.fit](image, (wide, high), how)
    return np.array(found, dtype=np.float32)


def _as_it_is(image: "Image.Image", size: Size, _: Resizing) -> "Image.Image":
    if image.size != size:
        raise UsageError(f"expected a picture of {_told(size)} (width x height), found {_told(image.size)}")
    return image


def _squashed(image: "Image.Image", size: Size, how: Resizing) -> "Image.Image":
    return image.resize(size, _filter(how))


def _covering(image: "Image.Image", size: Size, how: Resizing) -> "Image.Image":
    """Return a picture whose shorter side, measured against the size, fits, and whose longer one is cut."""
    (width, height), (wide, high) = size, image.size
    narrow = wide * height < high * width
    whole = (width, int(width * high / wide)) if narrow else (int(height * wide / high), height)
    _check_pixels(whole, image.size)
    left, top = (_half(found - wanted, how) for found, wanted in zip(whole, size, strict=True))
    return image.resize(whole, _filter(how)).crop((left, top, left + width, top + height))


def _half(rest: int, how: Resizing) -> int:
    return rest // 2 if how.floor else round(rest / 2)


def _padded(image: "Image.Image", size: Size, how: Resizing) -> "Image.Image":
    from PIL import Image

    side = max(image.size)
    _check_pixels((side, side), image.size)
    square = Image.new(image.mode, (side, side), how.fill)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square.resize(size, _filter(how))


_FITS: Final = {Fit.NONE: _as_it_is, Fit.SQUASH: _squashed, Fit.COVER: _covering, Fit.PAD: _padded}


def _filter(how: Resizing) -> "Image.Resampling":
    from PIL import Image

    return Image.Resampling[how.filter.upper()]


def _check_pixels(size: Size, found: Size) -> None:
    if size[0] * size[1] > MOST_PIXELS:
        raise UsageError(
            f"expected a picture of at most {MOST_PIXELS:,} pixels on its way to the input's size, found {_told(size)} "
            f"of one of {_told(found)}; cut it first"
        )


def _told(size: Size) -> str:
    return f"{size[0]} x {size[1]}"


def words(how: Resizing, size: tuple[int | str, int | str]) -> str:
    """Return what is done to a picture, in words; ``size`` is height and width."""
    high, wide = size
    both = f"{high} x {wide} (height x width)"
    if how.fit is Fit.NONE:
        return f"of {both}"
    if how.fit is Fit.SQUASH:
        return f"resized ({how.filter}) to {both}, whatever becomes of its aspect"
    if how.fit is Fit.PAD:
        colour = ", ".join(map(str, how.fill))
        return f"padded with the colour ({colour}) to a centred square, then resized ({how.filter}) to {both}"
    if high == wide:
        return f"resized ({how.filter}) so that its short side is {high}, the centre cut out as a square"
    return f"resized ({how.filter}) so that it covers {both}, the centre cut out"
