"""The Python in a bundle's documents makes the input that we make, to the bit."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lwmport.handoff.picture_code import picture_code
from lwmport.handoff.processing import processing_of
from lwmport.models.spec import FamilySpec
from lwmport.types import Fit, Kind, Normalisation, Preprocessing, Resizing, Signature, TensorSpec
from lwmport.validators.pictures import scaled
from lwmport.validators.resizing import resized

NUMBERS = Normalisation(mean=(0.48, 0.45, 0.4), deviation=(0.26, 0.25, 0.27))
WAYS = {
    "as LWM": Preprocessing(),
    "cut as transformers": Preprocessing(resizing=Resizing(floor=True), normalisation=NUMBERS),
    "squashed": Preprocessing(resizing=Resizing(fit=Fit.SQUASH), normalisation=NUMBERS),
    "padded": Preprocessing(resizing=Resizing(fit=Fit.PAD, fill=(122, 116, 104)), normalisation=NUMBERS),
}


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("name", WAYS)
def test_it_makes_the_same_input(name: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how = WAYS[name]
    limits = (0.0, 255.0) if dtype == "uint8" else (-1.0, 1.0)
    spec = TensorSpec(name="x", shape=(1, 3, 16, 16), dtype=dtype, kind=Kind.PICTURE, layout="NCHW", value_range=limits)
    family = FamilySpec(name="x", components=(), preprocessing={"x": how})
    found = processing_of(Signature(inputs=(spec,), outputs=()), family)["inputs/x"]
    monkeypatch.chdir(tmp_path)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (23, 38, 3), np.uint8))
    image.save("PICTURE", format="PNG")
    exec("\n".join(picture_code(spec, found)), {})  # noqa: S102 - our own lines
    expected = scaled(resized(image, (16, 16), how.resizing)[None], spec, how.normalisation)
    assert np.array_equal(np.load("x.npy"), expected)
