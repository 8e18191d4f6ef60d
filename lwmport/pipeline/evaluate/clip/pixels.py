"""A picture as CLIP's input: the shorter edge resized (bicubic), the centre cut out, scaled; and its thumbnail."""

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from lwmport.errors import ArtifactError, CheckpointError, one_line
from lwmport.instead import in_place_of
from lwmport.small_files import open_regular
from lwmport.types import Array
from lwmport.wording import few

MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
STD: Final = (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's own pictures. Source: clip.py of OpenAI's CLIP."""

BICUBIC: Final = 3
"""What Pillow calls it, and a ``preprocessor_config.json`` with it."""

STEPS: Final = ("do_resize", "do_center_crop", "do_rescale", "do_normalize")
MOST_PIXELS: Final = 1 << 28
FORMATS: Final = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
THUMBNAIL: Final = 224


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """How a picture is scaled.

    Attributes:
        shortest: pixels of its shorter edge before the centre is cut out.
        height, width: of what is cut out.
        mean, std: of red, green and blue in [0, 1].
        rounded: whether the place of the cut is rounded, as torchvision does, or down, as transformers does.
    """

    shortest: int
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    rounded: bool = False

    def __post_init__(self) -> None:
        """Refuse what scales no picture."""
        sizes = (self.shortest, self.height, self.width)
        if not all(0 < size <= 1 << 12 for size in sizes) or max(self.height, self.width) > self.shortest:
            raise CheckpointError(f"expected sizes of a picture and of the centre of it, found {sizes}")
        if len(self.mean) != 3 or len(self.std) != 3 or not all(value > 0 for value in self.std):
            raise CheckpointError(f"expected a mean and a deviation for three colours, found {self.mean}, {self.std}")

    def of(self, image: Image.Image) -> Array:
        """Return an RGB picture as float32 [1, 3, height, width]."""
        short, long = min(image.size), max(image.size)
        longer = int(self.shortest * long / short)
        size = (self.shortest, longer) if image.width <= image.height else (longer, self.shortest)
        resized = image.resize(size, Image.Resampling.BICUBIC)
        left, top = (self._begin(room) for room in (size[0] - self.width, size[1] - self.height))
        cut = np.asarray(resized.crop((left, top, left + self.width, top + self.height)), np.float32) / 255
        scaled = (cut - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return scaled.transpose(2, 0, 1)[None]

    def _begin(self, room: int) -> int:
        return round(room / 2) if self.rounded else room // 2


def pixels_of(fields: Mapping[str, Any]) -> Pixels:
    """Return how transformers' image processor scales a picture.

    Raises:
        CheckpointError: a step that is left out, or one that is not done here.
    """
    left_out = [name for name in STEPS if not fields.get(name, True)]
    if left_out or fields.get("resample", BICUBIC) != BICUBIC:
        what = few(left_out) if left_out else f"resample {fields['resample']}"
        raise CheckpointError(f"expected a picture that is resized (bicubic), cut and scaled as CLIP's, found {what}")
    size, crop = fields.get("size", 224), fields.get("crop_size", 224)
    try:
        height, width = (crop["height"], crop["width"]) if isinstance(crop, dict) else (crop, crop)
        return Pixels(
            shortest=int(size["shortest_edge"] if isinstance(size, dict) else size),
            height=int(height),
            width=int(width),
            mean=tuple(map(float, fields.get("image_mean", MEAN))),
            std=tuple(map(float, fields.get("image_std", STD))),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"expected the sizes of a picture, found {type(error).__name__}: {error}") from error


def opened(path: Path) -> Image.Image:
    """Return a picture in RGB, unturned: no tag of a camera is obeyed, as neither library does.

    Raises:
        ArtifactError: it is no picture, or too large.
    """
    try:
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            open_regular(path) as stream,
            Image.open(stream, formats=FORMATS) as image,
        ):
            if image.width * image.height <= MOST_PIXELS:
                return image.convert("RGB")
    except UnidentifiedImageError as error:
        kinds = ", ".join(FORMATS)
        raise ArtifactError(
            f"expected a picture ({kinds}) at {path}, found {in_place_of(path) or 'another kind of file'}"
        ) from error
    except Exception as error:  # Pillow raises many types, struct.error and SyntaxError among them
        raise ArtifactError(f"expected a picture at {path}, found: {in_place_of(path) or one_line(error)}") from error
    raise ArtifactError(f"expected at most {MOST_PIXELS:,} pixels in {path}, found more")


def thumbnail(image: Image.Image) -> Array:
    """Return a small picture as the bytes of a JPEG file, uint8 [bytes]."""
    small = image.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=75)
    return np.frombuffer(buffer.getvalue(), np.uint8)
