"""Pictures of a folder, prepared as the family of a model says."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from lwmport.errors import UsageError, one_line
from lwmport.instead import in_place_of
from lwmport.runtime.given.wanted import MOST_FILES, Sample, Wanted
from lwmport.small_files import open_regular
from lwmport.types import Array, Kind, Preprocessing, Resizing, TensorSpec
from lwmport.validators.pictures import channels_last, scaled, with_channels
from lwmport.validators.resizing import MOST_PIXELS, resized

PICTURES: Final = (".bmp", ".jpeg", ".jpg", ".png", ".webp")

FORMATS: Final = ("BMP", "JPEG", "PNG", "WEBP")


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures of a folder, in the order of their names."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.is_file())
    if not 1 <= len(found) <= MOST_FILES:
        raise UsageError(
            f"expected 1 to {MOST_FILES} pictures ({', '.join(PICTURES)}) in {folder}, found {len(found) or 'none'}"
        )
    return found


def runs_of(files: Sequence[Path], wanted: Wanted, folder: Path, count: int | None) -> list[Sample]:
    """Return runs of ``wanted.batch`` pictures; the last one is filled up with the first pictures."""
    shown = [spec for spec in wanted.specs if spec.kind is Kind.PICTURE]
    if len(shown) != 1 or len(wanted.specs) != 1:
        names = ", ".join(spec.name for spec in wanted.specs)
        raise UsageError(f"{folder}: expected a .npz or a .jsonl with {names}, found a folder of pictures")
    (spec,) = shown
    runs = -(-len(files) // wanted.batch)
    if count is not None and runs >= count:
        runs = count
    return [_run_of(spec, wanted, [files[item % len(files)] for item in _places(run, wanted.batch)])
            for run in range(runs)]  # fmt: skip


def _places(run: int, batch: int) -> range:
    return range(run * batch, (run + 1) * batch)


def _run_of(spec: TensorSpec, wanted: Wanted, files: Sequence[Path]) -> Sample:
    height, width, channels = channels_last(spec)
    how = wanted.preprocessing.get(spec.name, Preprocessing())
    fitted = np.stack([opened_picture(file, (height, width), how.resizing) for file in files])
    made = scaled(with_channels(fitted, channels), spec, how.normalisation)
    return Sample(inputs={spec.name: made}, titles=tuple(file.name for file in files))


def _unread(error: Exception) -> str:
    """Return why Pillow did not read a file, without the name of it."""
    if isinstance(error, UnidentifiedImageError):
        return f"another kind of file than {', '.join(FORMATS)}"
    return error.strerror if isinstance(error, OSError) and error.strerror else one_line(error)


def opened_picture(path: Path, size: tuple[int, int], how: Resizing) -> Array:
    """Return a picture of a height and width: float32 [height, width, 3] in [0, 255]."""
    try:
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            open_regular(path) as stream,
            Image.open(stream, formats=FORMATS) as image,
        ):
            large = image.width * image.height > MOST_PIXELS
            found = None if large else resized(image.convert("RGB"), size, how)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    except Exception as error:  # Pillow raises many types, struct.error and SyntaxError among them
        raise UsageError(f"expected a picture at {path}, found: {in_place_of(path) or _unread(error)}") from error
    if found is None:
        raise UsageError(f"expected at most {MOST_PIXELS:,} pixels in {path}, found more")
    return found
