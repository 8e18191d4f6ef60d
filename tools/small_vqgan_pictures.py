"""The photographs that `train_small_vqgan` learns from, and crops of them; not the three that models are judged on."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from lwmport.types import Array


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """A file of a package, how often it is taken beside the others, and whom to thank for it."""

    package: str
    file: str
    share: int
    credit: str


PHOTOGRAPHS: Final = (
    Photograph(package="sklearn", file="datasets/images/china.jpg", share=4, credit="danielbuechele, CC BY 2.0"),
    Photograph(package="sklearn", file="datasets/images/flower.jpg", share=4, credit="vultilion, CC BY 2.0"),
    Photograph(package="skimage", file="data/rocket.jpg", share=3, credit="SpaceX, public domain"),
    Photograph(package="skimage", file="data/retina.jpg", share=2, credit="Mikael Häggström, CC0"),
    Photograph(package="skimage", file="data/ihc.png", share=2, credit="CMMI, no known copyright restrictions"),
    Photograph(package="skimage", file="data/hubble_deep_field.jpg", share=1, credit="NASA, public domain"),
    Photograph(package="skimage", file="data/camera.png", share=3, credit="Lav Varshney, CC0"),
    Photograph(package="skimage", file="data/brick.png", share=1, credit="CC0Textures, CC0"),
    Photograph(package="skimage", file="data/grass.png", share=1, credit="CC0Textures, CC0"),
    Photograph(package="skimage", file="data/gravel.png", share=1, credit="CC0Textures, CC0"),
)
SHORT_SIDES: Final = (128, 192, 256, 384)
"""Pixels of the shorter side of each photograph that crops are taken from, as far as it has so many."""


def photographs() -> list[list[Array]]:
    """Return each photograph in some sizes: uint8 [height, width, 3].

    Raises:
        SystemExit: a package is not installed.
    """
    return [_sizes(_file(photograph)) for photograph in PHOTOGRAPHS]


def crops(found: list[list[Array]], seed: int, step: int, side: int, count: int) -> Array:
    """Return crops, float32 [count, side, side, 3] in [-1, 1]; the same for the same seed and step.

    Half of them are mirrored. All are brighter or darker, some have their colours in another order or balance.
    """
    random = np.random.default_rng((seed, step))
    shares = np.array([photograph.share for photograph in PHOTOGRAPHS])
    return np.stack(
        [_crop(found[random.choice(len(found), p=shares / shares.sum())], side, random) for _ in range(count)]
    )


def _crop(sizes: list[Array], side: int, random: np.random.Generator) -> Array:
    whole = sizes[random.integers(len(sizes))]
    top, left = (random.integers(length - side + 1) for length in whole.shape[:2])
    crop = whole[top : top + side, left : left + side].astype(np.float32)
    crop = crop[:, :: random.choice((-1, 1))]
    gain = random.uniform(0.8, 1.1, 3 if random.random() < 0.3 else 1)
    shift = random.uniform(-20, 20)
    order = random.permutation(3) if random.random() < 0.3 else slice(None)
    changed = np.clip(crop[..., order] * gain + shift, 0, 255)
    return np.asarray(changed / 127.5 - 1, np.float32)


def _file(photograph: Photograph) -> Path:
    """Return where a file lies; the package is not imported."""
    spec = importlib.util.find_spec(photograph.package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"expected the package {photograph.package}; run: pip install scikit-image scikit-learn")
    return Path(spec.submodule_search_locations[0]) / photograph.file


def _sizes(file: Path) -> list[Array]:
    with Image.open(file) as image:
        whole = image.convert("RGB")
    factors = (short / min(whole.size) for short in SHORT_SIDES)
    sizes = ((round(whole.width * factor), round(whole.height * factor)) for factor in factors if factor <= 1)
    return [np.asarray(whole.resize(size, Image.Resampling.BICUBIC)) for size in sizes]
