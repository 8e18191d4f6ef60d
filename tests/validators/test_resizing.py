"""Pictures are resized as the programs do it that models come from: to the bit, on the photographs that ship."""

from collections.abc import Iterator
from importlib import resources
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lwmport.errors import UsageError
from lwmport.types import Array, Fit, Kind, Normalisation, Preprocessing, Resizing, TensorSpec
from lwmport.validators.pictures import LEVELS, PHOTOGRAPHS, pixels, scaled
from lwmport.validators.resizing import resized, words

CLIP = Normalisation(
    mean=(0.48145466, 0.4578275, 0.40821073),
    deviation=(0.26862954, 0.26130258, 0.27577711),
)
GREY = tuple(int(LEVELS * mean) for mean in CLIP.mean)
SQUASHED = Resizing(fit=Fit.SQUASH)
PADDED = Resizing(fit=Fit.PAD, fill=GREY)
CENTRED = Resizing(floor=True)
SIZE = 112

PROCESSORS: dict[str, tuple[str, dict[str, Any], Resizing]] = {
    "MiniGPT-4": ("BlipImageProcessorPil", {"size": {"height": SIZE, "width": SIZE}}, SQUASHED),
    "CLIP": (
        "CLIPImageProcessorPil",
        {"size": {"shortest_edge": SIZE}, "crop_size": {"height": SIZE, "width": SIZE}},
        CENTRED,
    ),
    "LLaVA": (
        "LlavaImageProcessorPil",
        {"size": {"shortest_edge": SIZE}, "crop_size": {"height": SIZE, "width": SIZE}, "do_pad": True},
        PADDED,
    ),
}
"""Whose pictures -> transformers' processor by Pillow, what it is told, and what we say of the same."""


def photographs() -> Iterator[Image.Image]:
    for photograph in PHOTOGRAPHS:
        with (resources.files("skimage") / "data" / photograph.file).open("rb") as stream:
            yield Image.open(stream).convert("RGB")


def as_input(image: Image.Image, how: Resizing) -> Array:
    spec = TensorSpec(name="x", shape=(1, 3, SIZE, SIZE), dtype="float32", kind=Kind.PICTURE, layout="NCHW")
    return scaled(resized(image, (SIZE, SIZE), how)[None], spec, CLIP)[0]


@pytest.mark.parametrize("name", PROCESSORS)
def test_inputs_are_those_of_transformers(name: str) -> None:
    """Both resize with Pillow; transformers normalises in another order, which rounds otherwise."""
    transformers = pytest.importorskip("transformers")
    kind, told, how = PROCESSORS[name]
    processor = getattr(transformers, kind)(image_mean=CLIP.mean, image_std=CLIP.deviation, resample=3, **told)
    for image in photographs():
        expected = processor(image, return_tensors="np")["pixel_values"][0]
        np.testing.assert_allclose(as_input(image, how), expected, rtol=0, atol=5e-7)


@pytest.mark.parametrize("filter_", ["bicubic", "bilinear"])
def test_a_filter_is_pillows(filter_: str) -> None:
    image = next(photographs())
    expected = np.asarray(image.resize((40, 30), Image.Resampling[filter_.upper()]), np.float32)
    assert np.array_equal(resized(image, (30, 40), Resizing(fit=Fit.SQUASH, filter=filter_)), expected)


@pytest.mark.parametrize(("size", "place"), [((40, 21), np.s_[9:30, :]), ((21, 40), np.s_[:, 9:30])])
def test_a_padded_picture_lies_in_the_middle(size: tuple[int, int], place: Any) -> None:
    """With an odd margin the picture lies half a pixel up or left, as in LLaVA's expand2square."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8))
    found = resized(image, (40, 40), PADDED)
    assert np.array_equal(found[place], np.asarray(image, np.float32))
    margin = np.ones((40, 40), bool)
    margin[place] = False
    assert np.array_equal(found[margin], np.broadcast_to(np.float32(GREY), found[margin].shape))


@pytest.mark.parametrize(("floor", "first"), [(False, 2), (True, 1)])
def test_half_a_pixel_is_cut_as_told(first: int, *, floor: bool) -> None:
    """Of 3 columns too many, LWM and torchvision cut off 2 in front (Python's round of 1.5), transformers 1."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 11, 3), np.uint8))
    found = resized(image, (8, 8), Resizing(floor=floor))
    assert np.array_equal(found, np.asarray(image, np.float32)[:, first : first + 8])


def test_a_picture_that_must_have_the_size_has_it() -> None:
    image, how = Image.new("RGB", (8, 6)), Resizing(fit=Fit.NONE)
    assert resized(image, (6, 8), how).shape == (6, 8, 3)
    with pytest.raises(UsageError, match=r"expected a picture of 6 x 8 \(width x height\), found 8 x 6"):
        resized(image, (8, 6), how)
    assert pixels(1, (8, 8), how).shape == (1, 8, 8, 3)


@pytest.mark.parametrize("how", [PADDED, Resizing()])
def test_a_long_picture_does_not_fill_the_memory(how: Resizing) -> None:
    with pytest.raises(UsageError, match="expected a picture of at most 80,000,000 pixels on its way"):
        resized(Image.new("RGB", (400_000, 1)), (224, 224), how)


def test_words_say_what_is_done() -> None:
    assert words(SQUASHED, (224, 200)) == (
        "resized (bicubic) to 224 x 200 (height x width), whatever becomes of its aspect"
    )
    assert words(PADDED, (336, 336)).startswith("padded with the colour (122, 116, 104) to a centred square, then")
    assert words(Resizing(), (8, 8)).endswith("so that its short side is 8, the centre cut out as a square")
    assert words(Resizing(fit=Fit.NONE), (8, 9)) == "of 8 x 9 (height x width)"


def test_bytes_stay_bytes() -> None:
    spec = TensorSpec(name="x", shape=(1, 8, 8, 3), dtype="uint8", kind=Kind.PICTURE, value_range=(0, 255))
    found = scaled(pixels(1, (8, 8)), spec, Preprocessing(normalisation=CLIP).normalisation)
    assert found.dtype == np.uint8
    assert np.array_equal(found, pixels(1, (8, 8)))
