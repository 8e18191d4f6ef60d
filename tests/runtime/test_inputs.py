"""What a model cannot take is refused in one line; a video is folded into the batch."""

import re
from dataclasses import replace

import numpy as np
import pytest

from lwmport.errors import RunnerError
from lwmport.runtime.inputs import check_inputs, fold_video
from lwmport.types import Kind, Signature, TensorSpec

PIXELS = TensorSpec(name="pixels", shape=("batch", 4, 4, 3), dtype="float32", kind=Kind.PICTURE)
CODES = TensorSpec(name="codes", shape=(2, 4), dtype="int32", kind=Kind.INDICES, value_range=(0, 9))
PICTURE = np.zeros((1, 4, 4, 3), np.float32)


def test_what_fits_passes() -> None:
    check_inputs((PIXELS, CODES), {"codes": np.full((2, 4), 9, np.int32), "pixels": np.zeros((7, 4, 4, 3), np.float32)})


BAD = {
    "name": ({"pixel": PICTURE}, "expected the inputs pixels, found pixel"),
    "none": ({}, "found none"),
    "extra": ({"pixels": PICTURE, "y": PICTURE}, "found pixels, y"),
    "dtype": ({"pixels": PICTURE.astype(np.float64)}, "found float64"),
    "rank": ({"pixels": PICTURE[0]}, "found float32[4, 4, 3]"),
    "size": ({"pixels": np.zeros((1, 4, 5, 3), np.float32)}, "found float32[1, 4, 5, 3]"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name: str) -> None:
    inputs, message = BAD[name]
    with pytest.raises(RunnerError, match=re.escape(message)):
        check_inputs((PIXELS,), inputs)


@pytest.mark.parametrize(("name", "hinted"), [("codebook_indices", True), ("position_ids", False)])
def test_only_codes_are_told_of_the_ends_of_frames(name: str, hinted: bool) -> None:  # noqa: FBT001
    with pytest.raises(RunnerError, match=f"expected {name} between 0 and 9, found 10 to 10") as caught:
        check_inputs((replace(CODES, name=name),), {name: np.full((2, 4), 10, np.int32)})
    assert ("end-of-frame" in str(caught.value)) is hinted


@pytest.mark.parametrize("value", [-1, 10])
def test_indices_outside_the_codebook_are_refused(value: int) -> None:
    codes = np.zeros((2, 4), np.int32)
    codes[1, 2] = value
    with pytest.raises(RunnerError, match="between 0 and 9"):
        check_inputs((CODES,), {"codes": codes})


def test_a_video_is_folded_and_unfolded() -> None:
    video = np.arange(2 * 3 * 4 * 4 * 3, dtype=np.float32).reshape(2, 3, 4, 4, 3)
    folded, unfold = fold_video(Signature(inputs=(PIXELS,), outputs=()), {"pixels": video})
    assert folded["pixels"].shape == (6, 4, 4, 3)
    assert np.array_equal(folded["pixels"][4], video[1, 1])
    assert np.array_equal(unfold({"out": folded["pixels"]})["out"], video)


def test_a_picture_stays_a_picture() -> None:
    folded, unfold = fold_video(Signature(inputs=(PIXELS,), outputs=()), {"pixels": PICTURE})
    assert folded["pixels"] is PICTURE
    assert unfold({"x": PICTURE})["x"] is PICTURE


def test_videos_of_different_lengths_are_refused() -> None:
    signature = Signature(inputs=(PIXELS, CODES), outputs=())
    inputs = {"pixels": np.zeros((1, 3, 4, 4, 3), np.float32), "codes": np.zeros((1, 2, 4), np.int32)}
    with pytest.raises(RunnerError, match="of one length"):
        fold_video(signature, inputs)
