"""Pictures of the inputs, of the outputs on both sides, and of where they differ."""

import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lwmport.reports import colours, numbers
from lwmport.reports.record import Gallery, Picture
from lwmport.types import Array, Kind, Signature, TensorSpec

LIMIT: Final = 4
"""Inputs that are shown; the numbers are of all of them."""

SIDE: Final = 512
"""Pixels across a map: a multiple of 16 and of 256, so that every cell is a whole square."""

STRIP: Final = 76
"""Pixels of the labelled scale under a heat map."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Galleries for `ComponentReport`, and the PNG files by path for `write_report`."""

    galleries: tuple[Gallery, ...]
    files: Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True)
class _Image:
    role: str
    caption: str
    pixels: Array


def draw(
    *,
    component: str,
    signature: Signature,
    inputs: Mapping[str, Array],
    reference: Mapping[str, Array],
    candidate: Mapping[str, Array],
    titles: tuple[tuple[str, str], ...],
) -> Drawing:
    """Return one gallery for each of the first inputs.

    Args:
        component: becomes part of the file names.
        signature: says which tensors are pictures [batch, height, width, 3], indices [batch, height, width] or values
            [batch, height, width, channels]; others are not drawn.
        inputs: by name.
        reference: outputs by name; one that the candidate lacks, or has in another shape, is not drawn.
        candidate: outputs by name.
        titles: (name, credit) of each item of the batch.
    """
    galleries, files = [], {}
    for item, (title, credit) in enumerate(titles[:LIMIT]):
        images = [image for spec in signature.inputs for image in _input(spec, inputs, item)]
        images += [image for spec in signature.outputs for image in _output(spec, reference, candidate, item)]
        pictures = []
        for image in images:
            content = png(image.pixels)
            path = f"pictures/{_slug(component)}-{item}-{_slug(image.role)}.png"
            files[path] = content
            pictures.append(_picture(path, f"{title}: {image.role}", image, content))
        galleries.append(Gallery(item=item, title=title, credit=credit, pictures=tuple(pictures)))
    return Drawing(galleries=tuple(gallery for gallery in galleries if gallery.pictures), files=files)


def _input(spec: TensorSpec, inputs: Mapping[str, Array], item: int) -> list[_Image]:
    tensor = inputs.get(spec.name)
    if tensor is None or item >= len(tensor) or not _drawable(spec, tensor):
        return []
    if spec.kind is Kind.PICTURE:
        return [_Image(role=f"input {spec.name}", caption="Input", pixels=_photograph(spec, tensor[item]))]
    if spec.kind is Kind.INDICES:
        return [_Image(role=f"input {spec.name}", caption="Input, one colour a code", pixels=_codes(tensor[item]))]
    return []


def _output(
    spec: TensorSpec, reference: Mapping[str, Array], candidate: Mapping[str, Array], item: int
) -> list[_Image]:
    expected, found = reference.get(spec.name), candidate.get(spec.name)
    if expected is None or found is None or expected.shape != found.shape or item >= len(expected):
        return []
    if not _drawable(spec, expected):
        return []
    if spec.kind is Kind.INDICES:
        return _indices(spec, expected[item], found[item])
    if spec.kind is Kind.PICTURE:
        sides = [("reference", expected), ("candidate", found)]
        shown = [_side(side, spec, _photograph(spec, tensor[item])) for side, tensor in sides]
        return [*shown, _heat(spec, expected[item], found[item])]
    return [_heat(spec, expected[item], found[item])]


def _drawable(spec: TensorSpec, tensor: Array) -> bool:
    if spec.kind is Kind.INDICES:
        return tensor.ndim == 3 and np.issubdtype(tensor.dtype, np.integer)
    channels = (3,) if spec.kind is Kind.PICTURE else range(1, 1 << 16)
    return tensor.ndim == 4 and tensor.shape[-1] in channels


def _indices(spec: TensorSpec, expected: Array, found: Array) -> list[_Image]:
    wrong = expected != found
    caption = f"{numbers.count(int(wrong.sum()))} of {numbers.count(wrong.size)} {spec.name} differ (orange)"
    pixels = np.where(wrong[..., None], colours.MISMATCH, colours.MATCH).astype(np.uint8)
    return [
        _side("reference", spec, _codes(expected)),
        _side("candidate", spec, _codes(found)),
        _Image(role=f"mismatches of {spec.name}", caption=caption, pixels=_gridded(_enlarge(pixels), wrong.shape)),
    ]


def _side(side: str, spec: TensorSpec, pixels: Array) -> _Image:
    return _Image(role=f"{side} {spec.name}", caption=f"{side.capitalize()} {spec.name}", pixels=pixels)


def _heat(spec: TensorSpec, expected: Array, found: Array) -> _Image:
    """Return the largest error over the channels of each place, with the scale under it."""
    with np.errstate(invalid="ignore"):
        error = np.abs(found.astype(np.float64) - expected.astype(np.float64)).max(axis=-1)
    caption = f"Error of {spec.name}, largest of {expected.shape[-1]} channels: {span(error)}"
    return _Image(role=f"error of {spec.name}", caption=caption, pixels=heat_map(error))


def heat_map(error: Array) -> Array:
    """Return a picture of errors [height, width] with the scale under it, uint8 [pixels, pixels, 3]."""
    top = _top(error)
    cells = _enlarge(colours.heat(error, top))
    return np.concatenate([cells, _strip(top, cells.shape[1])])


def span(error: Array) -> str:
    """Return what the colours of a map of errors stand for."""
    strange = "" if np.isfinite(error).all() else "; cyan is NaN or infinite"
    return f"0 to {numbers.number(_top(error))}{strange}"


def _top(error: Array) -> float:
    return float(error[np.isfinite(error)].max(initial=0.0))


def _strip(top: float, width: int) -> Array:
    """Return the colour scale with its labels, uint8 [STRIP, width, 3]."""
    image = Image.new("RGB", (width, STRIP), colours.LINE)
    image.paste(Image.fromarray(colours.heat(np.tile(np.linspace(0, 1, width - 24), (18, 1)), 1.0)), (12, 10))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(36)
    draw.text((12, STRIP - 10), "0", font=font, fill="white", anchor="ls")
    draw.text((width - 12, STRIP - 10), numbers.number(top), font=font, fill="white", anchor="rs")
    return np.asarray(image)


def _photograph(spec: TensorSpec, picture: Array) -> Array:
    """Return uint8 pixels; for [-1, 1] they are (x + 1) * 127.5 cut to an integer, as LWM saves them."""
    low, high = spec.value_range or (-1.0, 1.0)
    scaled = (np.nan_to_num(picture.astype(np.float64), nan=low) - low) * (255 / (high - low))
    return np.asarray(np.clip(scaled, 0, 255).astype(np.uint8))


def _codes(indices: Array) -> Array:
    return _enlarge(colours.codes(indices))


def _enlarge(pixels: Array) -> Array:
    """Return the picture with whole squares for pixels, as near to `SIDE` across as they allow."""
    factor = max(SIDE // max(pixels.shape[:2]), 1)
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def _gridded(pixels: Array, cells: tuple[int, ...]) -> Array:
    """Return the map with a dark line around every cell, so that one without mismatches is still a map."""
    height, width = pixels.shape[0] // cells[0], pixels.shape[1] // cells[1]
    if min(height, width) > 7:
        for line in (0, 1, -1, -2):
            pixels[line % height :: height] = pixels[:, line % width :: width] = colours.LINE
    return pixels


def png(pixels: Array) -> bytes:
    """Return a picture, uint8 [height, width, 3], as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _picture(path: str, alt: str, image: _Image, content: bytes) -> Picture:
    facts: dict[str, Any] = {"path": path, "alt": f"{alt}. {image.caption}", "caption": image.caption}
    height, width = image.pixels.shape[:2]
    return Picture(**facts, width=width, height=height, sha256=hashlib.sha256(content).hexdigest())


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"
