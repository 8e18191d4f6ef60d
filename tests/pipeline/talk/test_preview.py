"""Pictures on the way: what is shown after each row, to whom, and that others pay nothing."""

from pathlib import Path

import numpy as np
import pytest

from lwmport.pipeline.assemble.package import open_package
from lwmport.pipeline.observer import Silent
from lwmport.pipeline.talk import preview
from lwmport.pipeline.talk.painting import paint
from lwmport.pipeline.talk.pictures import Pictures
from lwmport.pipeline.talk.preview import Preview
from lwmport.types import Array

pytest.importorskip("tokenizers", reason="tokenizers is not installed")


class Looks(Silent):
    """An observer that can show pictures."""

    def __init__(self) -> None:
        self.seen: list[Array] = []

    def picture(self, pixels: Array) -> None:
        self.seen.append(pixels)


def test_the_last_picture_is_the_one_that_is_written(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "SHARE", 0.0)
    looks = Looks()
    made = paint(model=model, out=tmp_path / "a.png", prompt="a cat", observer=looks)
    assert [pixels.shape for pixels in looks.seen] == [(2 * rows, 32, 3) for rows in range(1, 17)]
    codes = np.minimum(made.tokens[:, :-1], 8191).reshape(1, 16, 16)
    np.testing.assert_array_equal(looks.seen[-1], Pictures(open_package(model)).pixels(codes)[0])


def test_a_picture_waits_until_it_costs_little(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "SHARE", 1e9)
    looks = Looks()
    with Preview(Pictures(open_package(model)), looks) as shown:
        for count in range(257):
            shown.row([7] * count, 16)
    assert len(looks.seen) == 1


def test_who_cannot_show_pictures_decodes_none(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = Pictures(open_package(model))
    monkeypatch.setattr(pictures, "decoder", pytest.fail)
    with Preview(pictures, Silent()) as shown:
        shown.row([7] * 16, 16)
