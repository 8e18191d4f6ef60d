"""What AIPP makes of each byte, held against the float32 input that Pillow's path makes of the same byte."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import pytest

from lwmport.errors import UsageError
from lwmport.models.vqgan.family import FAMILY as VQGAN
from lwmport.targets.ascend.aipp import LEVELS, aipp, channels_of, difference, differences, emulated
from lwmport.targets.ascend.compile import plan
from lwmport.targets.compile.job import CompileJob
from lwmport.targets.compile.plan import Place
from lwmport.types import Array, Kind, Normalisation, Preprocessing, TensorSpec
from lwmport.validators.pictures import scaled

CLIP: Final = Preprocessing(
    normalisation=Normalisation(
        mean=(0.48145466, 0.4578275, 0.40821073), deviation=(0.26862954, 0.26130258, 0.27577711)
    )
)
PICTURE: Final = TensorSpec(
    name="x",
    shape=(1, 3, 1, LEVELS + 1),
    dtype="float32",
    kind=Kind.PICTURE,
    layout="NCHW",
    value_range=(-1.0, 1.0),
)
SOC: Final = {"soc": "Ascend310P3"}

BOUNDS: Final = {
    "CLIP": (CLIP, 1.2e-3),
    "VQGAN": (VQGAN.preprocessing["pixel_values"], 2.5e-4),
    "a range": (None, 2.5e-4),
}
"""What docs/preprocessing.md promises."""


def by_pillow(how: Preprocessing | None) -> Array:
    """Return the input of every byte in all channels: float32 [256, 3]."""
    levels = np.broadcast_to(np.arange(LEVELS + 1, dtype=np.float32)[:, None], (1, 1, LEVELS + 1, 3))
    return scaled(levels, PICTURE, None if how is None else how.normalisation)[0, :, 0].T


@pytest.mark.parametrize("name", BOUNDS)
def test_every_byte_is_within_the_stated_difference(name: str) -> None:
    how, bound = BOUNDS[name]
    found = emulated(channels_of(PICTURE, how))
    assert found.dtype == np.float16
    farthest = np.abs(found.astype(np.float64) - by_pillow(how)).max()
    assert farthest == pytest.approx(difference(PICTURE, how), abs=1e-6)
    assert bound / 2 < farthest < bound


def test_the_part_behind_the_point_stands_apart() -> None:
    """As one float16 a mean of 122.77 would be 122.75, and the difference twice as large."""
    together = [replace(channel, mean=0, least=channel.mean + channel.least) for channel in channels_of(PICTURE, CLIP)]
    worse = np.abs(emulated(tuple(together)).astype(np.float64) - by_pillow(CLIP)).max()
    assert worse > 1.9 * difference(PICTURE, CLIP)


def test_the_configuration_has_the_numbers_of_the_family(job_of: Callable[..., CompileJob]) -> None:
    picture = replace(PICTURE, shape=(1, 3, 24, 32))
    job = job_of(inputs=(picture,), preprocessing={"x": CLIP}, pictures_as_bytes=True, **SOC)
    text = plan(job, Place(model="model.onnx", out="ascend")).files["model.aipp.cfg"].decode()
    assert aipp(job).decode() == text
    values = dict(line.strip().split(": ") for line in text.splitlines() if ": " in line)
    assert (values["src_image_size_w"], values["src_image_size_h"]) == ("32", "24")
    assert [values[f"mean_chn_{channel}"] for channel in range(3)] == ["122", "116", "104"]
    for channel, (mean, deviation) in enumerate(
        zip(CLIP.normalisation.mean, CLIP.normalisation.deviation, strict=True)
    ):
        scaled_ = (200 - float(values[f"mean_chn_{channel}"]) - float(values[f"min_chn_{channel}"])) * float(
            values[f"var_reci_chn_{channel}"]
        )
        assert scaled_ == pytest.approx((200 / LEVELS - mean) / deviation, abs=1e-6)
    details = plan(job, Place(model="model.onnx", out="ascend")).details
    assert details["picture_difference"] == differences(job) == {"x": pytest.approx(1.126e-3, rel=1e-3)}


BAD: Final = {
    "bytes already": ({"inputs": (replace(PICTURE, dtype="uint8"),)}, "--with-preprocessing"),
    "a mean above a byte": (
        {"inputs": (replace(PICTURE, value_range=(-3.0, -1.0)),)},
        "expected a mean from 0 to 255 of the bytes of x",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_aipp_cannot_do_is_refused(name: str, job_of: Callable[..., CompileJob]) -> None:
    fields, message = BAD[name]
    with pytest.raises(UsageError, match=message):
        aipp(job_of(pictures_as_bytes=True, **fields, **SOC))
