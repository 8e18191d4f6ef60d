import dataclasses
import socket

import numpy as np
import pytest
from PIL import Image

from lwmport.errors import PortError, UsageError
from lwmport.types import Kind, TensorSpec
from lwmport.validators import pictures as module
from lwmport.validators.pictures import PHOTOGRAPHS, channels_last, photographs, scaled
from lwmport.validators.resizing import resized

PIXELS = TensorSpec(name="pixels", shape=("batch", 256, 256, 3), dtype="float32", kind=Kind.PICTURE)


def test_every_photograph_is_in_the_package_and_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise AssertionError("a photograph was looked for on the network")

    monkeypatch.setattr(socket, "socket", refuse)
    pictures = photographs(len(PHOTOGRAPHS))
    assert (pictures.shape, pictures.dtype) == ((len(PHOTOGRAPHS), 256, 256, 3), np.float32)
    assert pictures.min() == -1
    assert pictures.max() == 1
    assert all(picture.std() > 0.1 for picture in pictures)
    assert all(photograph.credit for photograph in PHOTOGRAPHS)


def test_they_are_the_same_every_time() -> None:
    assert np.array_equal(photographs(2), photographs(3)[:2])


def test_the_resolution_is_free() -> None:
    assert photographs(1, 32).shape == (1, 32, 32, 3)


@pytest.mark.parametrize("count", [0, -1, len(PHOTOGRAPHS) + 1])
def test_a_count_there_is_not(count: int) -> None:
    with pytest.raises(UsageError, match=f"expected between 1 and 6 photographs, found {count}"):
        photographs(count)


@pytest.mark.parametrize("size", [(300, 451), (451, 300), (256, 385), (257, 256), (1000, 999)])
def test_a_picture_is_prepared_as_lwm_does(size: tuple[int, int]) -> None:
    """The short side is resized, the centre cut out where Python's round puts it, pixels become x / 127.5 - 1."""
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
    image = Image.fromarray(noise)
    short = min(size)
    small = np.asarray(image.resize((int(256 * size[0] / short), int(256 * size[1] / short)))).astype(np.float32)
    top, left = round((small.shape[0] - 256) / 2), round((small.shape[1] - 256) / 2)
    expected = small[top : top + 256, left : left + 256] / np.float32(127.5) - np.float32(1)
    assert np.array_equal(scaled(resized(image, (256, 256))[None], PIXELS)[0], expected)


def test_a_package_without_the_file_costs_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = dataclasses.replace(PHOTOGRAPHS[0], file="lost.png")
    monkeypatch.setattr(module, "PHOTOGRAPHS", (lost,))
    with pytest.raises(PortError, match=r"expected the photograph lost\.png inside the scikit-image package"):
        photographs(1)


@pytest.mark.parametrize(("shape", "layout"), [((1, 3, "h", 8), "NCHW"), ((1, 8, 8), ""), ((1, 8, 8, 3), "NHW")])
def test_a_picture_without_a_fixed_size_is_refused(shape: tuple[int | str, ...], layout: str) -> None:
    with pytest.raises(UsageError, match="expected the picture pixels with the axes N, H, W and C"):
        channels_last(dataclasses.replace(PIXELS, shape=shape, layout=layout))
