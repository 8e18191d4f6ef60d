"""What makes an input of a picture, as Python that needs Pillow and numpy alone: for whoever has a bundle only."""

from lwmport.handoff.record import Processing
from lwmport.types import Fit, Resizing, TensorSpec
from lwmport.validators.pictures import LEVELS, layout_of


def picture_code(spec: TensorSpec, found: Processing) -> list[str]:
    """Return lines that make the input of the picture in the file ``PICTURE``, and write it as NAME.npy."""
    if found.resizing is None:
        return []
    sizes = dict(zip(layout_of(spec), spec.shape, strict=True))
    lines = [
        "import numpy as np",
        "from PIL import Image",
        'image = Image.open("PICTURE").convert("RGB")',
        *_resized(found.resizing, sizes["H"], sizes["W"]),
        "pixels = np.asarray(image, np.float32)",
    ]
    if found.normalisation is not None:
        mean, deviation = list(found.normalisation.mean), list(found.normalisation.deviation)
        lines.append(f"pixels = (pixels / np.float32({LEVELS}) - np.float32({mean})) / np.float32({deviation})")
    elif found.scaling is not None:
        low, high = spec.value_range or (-1.0, 1.0)
        lines.append(f"pixels = pixels / np.float32({LEVELS / (high - low)!r}) + np.float32({low!r})")
    axes = ["NHWC".index(axis) for axis in layout_of(spec)]
    lines.append(f'np.save("{spec.name}.npy", pixels[None].transpose({axes}).astype("{spec.dtype}"))')
    return lines


def _resized(how: Resizing, height: int | str, width: int | str) -> list[str]:
    resize = f"Image.Resampling.{how.filter.upper()}"
    if how.fit is Fit.NONE:
        return [f"assert image.size == ({width}, {height})"]
    if how.fit is Fit.SQUASH:
        return [f"image = image.resize(({width}, {height}), {resize})"]
    if how.fit is Fit.PAD:
        return [
            "side = max(image.size)",
            f'square = Image.new("RGB", (side, side), {how.fill})',
            "square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))",
            f"image = square.resize(({width}, {height}), {resize})",
        ]
    half = "{} // 2" if how.floor else "round({} / 2)"
    return [
        f"wide, high, (w, h) = {width}, {height}, image.size",
        "size = (wide, int(wide * h / w)) if w * high < h * wide else (int(high * w / h), high)",
        f"left, top = {half.format('(size[0] - wide)')}, {half.format('(size[1] - high)')}",
        f"image = image.resize(size, {resize}).crop((left, top, left + wide, top + high))",
    ]
