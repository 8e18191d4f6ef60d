import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from lwmport.reports import colours
from lwmport.reports.pictures import SIDE, STRIP, Drawing, draw
from lwmport.types import Array, Kind, Signature, TensorSpec

CODES = TensorSpec(name="codes", shape=("batch", 16, 16), dtype="int32", kind=Kind.INDICES)
STATES = TensorSpec(name="states", shape=("batch", 16, 16, 64), dtype="float32")
PIXELS = TensorSpec(
    name="pixels", shape=("batch", 64, 64, 3), dtype="float32", kind=Kind.PICTURE, value_range=(-1.0, 1.0)
)
LOGITS = TensorSpec(name="logits", shape=("batch", 9), dtype="float32")
SIGNATURE = Signature(inputs=(PIXELS,), outputs=(CODES, STATES, LOGITS, PIXELS))


def arrays(count: int = 2) -> dict[str, Array]:
    random = np.random.default_rng(2)
    return {
        "codes": random.integers(0, 8192, (count, 16, 16), np.int32),
        "states": random.standard_normal((count, 16, 16, 64), np.float32),
        "logits": random.standard_normal((count, 9), np.float32),
        "pixels": random.uniform(-1, 1, (count, 64, 64, 3)).astype(np.float32),
    }


def drawn(candidate: dict[str, Array], count: int = 2) -> Drawing:
    titles = tuple((f"photo {item}", "CC0") for item in range(count))
    return draw(
        component="VQGAN Encoder",
        signature=SIGNATURE,
        inputs=arrays(count),
        reference=arrays(count),
        candidate=candidate,
        titles=titles,
    )


def opened(drawing: Drawing, role: str, item: int = 0) -> Array:
    return np.asarray(Image.open(io.BytesIO(drawing.files[f"pictures/vqgan-encoder-{item}-{role}.png"])))


def test_every_item_shows_input_both_sides_and_where_they_differ() -> None:
    found = drawn(arrays())
    roles = [picture.path.removeprefix("pictures/vqgan-encoder-0-") for picture in found.galleries[0].pictures]
    assert roles == [
        "input-pixels.png",
        "reference-codes.png",
        "candidate-codes.png",
        "mismatches-of-codes.png",
        "error-of-states.png",
        "reference-pixels.png",
        "candidate-pixels.png",
        "error-of-pixels.png",
    ]
    assert [(gallery.item, gallery.title) for gallery in found.galleries] == [(0, "photo 0"), (1, "photo 1")]


def test_records_describe_the_files() -> None:
    found = drawn(arrays())
    for gallery in found.galleries:
        for picture in gallery.pictures:
            content = found.files[picture.path]
            assert hashlib.sha256(content).hexdigest() == picture.sha256
            assert Image.open(io.BytesIO(content)).size == (picture.width, picture.height)
            assert picture.alt.startswith(gallery.title)


def test_equal_inputs_give_equal_bytes() -> None:
    assert drawn(arrays()).files == drawn(arrays()).files


def test_pixels_are_as_lwm_saves_them() -> None:
    expected = ((arrays()["pixels"][0].astype(np.float64) + 1) * 127.5).astype(np.uint8)
    assert np.array_equal(opened(drawn(arrays()), "reference-pixels"), expected)


def test_a_wrong_code_is_orange_at_its_place() -> None:
    candidate = arrays()
    candidate["codes"][0, 3, 5] ^= 1
    found = drawn(candidate)
    shown = opened(found, "mismatches-of-codes")
    orange = (shown == colours.MISMATCH).all(axis=-1)
    assert orange[3 * 32 + 16, 5 * 32 + 16]
    orange[3 * 32 : 4 * 32, 5 * 32 : 6 * 32] = False
    assert not orange.any()
    assert found.galleries[0].pictures[3].caption == "1 of 256 codes differ (orange)"
    assert not (opened(found, "mismatches-of-codes", 1) == colours.MISMATCH).all(axis=-1).any()


def test_the_heat_map_is_brightest_where_the_error_is_largest() -> None:
    candidate = arrays()
    candidate["pixels"][0, 10, 20, 2] += np.float32(0.5)
    shown = opened(drawn(candidate), "error-of-pixels")
    assert shown.shape == (SIDE + STRIP, SIDE, 3)
    assert tuple(shown[10 * 8 + 4, 20 * 8 + 4]) == colours.INFERNO[-1]
    assert tuple(shown[0, 0]) == colours.INFERNO[0]


def test_a_nan_is_cyan_and_said() -> None:
    candidate = arrays()
    candidate["states"][0, 2, 2, 9] = np.nan
    found = drawn(candidate)
    assert tuple(opened(found, "error-of-states")[2 * 32, 2 * 32]) == colours.INCOMPARABLE
    assert found.galleries[0].pictures[4].caption.endswith("; cyan is NaN or infinite")


@pytest.mark.parametrize("broken", ["missing", "reshaped"])
def test_what_cannot_be_compared_is_not_drawn(broken: str) -> None:
    candidate = arrays()
    if broken == "missing":
        del candidate["pixels"]
    else:
        candidate["pixels"] = candidate["pixels"].transpose(0, 3, 1, 2)
    paths = [picture.path for picture in drawn(candidate).galleries[0].pictures]
    assert not any("reference-pixels" in path or "error-of-pixels" in path for path in paths)


def test_only_the_first_few_are_shown() -> None:
    assert len(drawn(arrays(6), 6).galleries) == 4
