"""Pictures of two folders by name: PSNR and SSIM beside skimage's, and cosines by a judge that is stood in for."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lwmport.cli.main import cli
from lwmport.errors import PortError
from lwmport.pipeline.evaluate.images import run
from lwmport.pipeline.evaluate.images.run import likeness


def call(*words: Any) -> Result:
    return CliRunner().invoke(cli, ["eval", "images", *(str(word) for word in words)])


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Return two folders: one picture that is equal, one that differs, one of each alone."""
    drawn = np.random.default_rng(0)
    pixels = {name: drawn.integers(0, 256, (24, 20, 3), dtype=np.uint8) for name in ("same", "other", "alone")}
    for folder in ("a", "b"):
        (tmp_path / folder / "sub").mkdir(parents=True)
        Image.fromarray(pixels["same"]).save(tmp_path / folder / "same.png")
    Image.fromarray(pixels["other"]).save(tmp_path / "a" / "sub" / "other.png")
    near = np.clip(pixels["other"].astype(int) + drawn.integers(-9, 10, (24, 20, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(near).save(tmp_path / "b" / "sub" / "other.bmp")
    Image.fromarray(pixels["alone"]).save(tmp_path / "a" / "alone.png")
    (tmp_path / "b" / "notes.txt").write_text("no picture")
    return {"a": tmp_path / "a", "b": tmp_path / "b"}


def test_pictures_are_paired_by_name_and_measured_as_bytes(folders: dict[str, Path]) -> None:
    found = likeness(**folders)
    one, other = found.pairs
    assert (one.name, other.name, found.equal, found.only_a, found.only_b) == (
        *("sub/other.png", "same.png", 1),
        *(("alone.png",), ()),
    )
    a, b = (np.asarray(Image.open(path)) for path in (folders["a"] / "sub/other.png", folders["b"] / "sub/other.bmp"))
    assert one.psnr_db == pytest.approx(peak_signal_noise_ratio(a, b), rel=1e-6)
    same = {"channel_axis": -1, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    assert one.ssim == pytest.approx(structural_similarity(a, b, data_range=255, **same), rel=1e-5)
    assert (one.height, one.width) == (24, 20)
    assert (other.psnr_db, other.ssim) == (math.inf, pytest.approx(1.0))
    assert found.mean_psnr_db == found.worst_psnr_db == one.psnr_db
    assert (found.clip_a, one.cosine_a) == (None, None)


def test_the_judge_says_how_well_both_fit_their_texts(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Judge:
        def ask(self, picture: Path, texts: list[str], *, small: bool) -> dict[str, Any]:
            assert (texts, small) == ([f"text of {picture.stem}"], False)
            return {"numbers": [{"cosine": 0.25 if picture.is_relative_to(folders["a"]) else 0.125}]}

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr(run, "judge_of", lambda _: (None, Judge()))
    texts = tmp_path / "texts.json"
    texts.write_text(json.dumps({"same.png": "text of same", "x/sub/other.png": "text of other"}))
    found = likeness(**folders, judge=tmp_path, texts=texts)
    assert (found.clip_a, found.clip_b) == (0.25, 0.125)
    assert found.pairs[0].text == "text of other"
    assert "mean cosine with the texts 0.2500 in A, 0.1250 in B" in found.sentence
    texts.write_text(json.dumps({"same.png": "text of same"}))
    with pytest.raises(
        PortError, match=r"expected a text for every picture of both folders, found none for sub/other\.png"
    ):
        likeness(**folders, judge=tmp_path, texts=texts)


def test_the_command_writes_a_page_and_a_record(folders: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = call(folders["a"], folders["b"], "--out", out)
    assert result.exit_code == 0, result.output
    assert "1 of 2 pictures are equal" in result.stdout
    assert "only in A, and left out: alone.png" in result.stdout
    page = (out / "images.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 4
    assert "sub/other.png" in page
    record = json.loads((out / "images.json").read_text())
    assert record["format"] == "lwmport-images/1"
    assert record["pairs"][1]["psnr_db"] == "inf"
    assert record == json.loads(call(folders["a"], folders["b"], "--out", out, "--json").stdout)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{a}", "{tmp}/none"], "expected a folder of pictures at"),
        (["{a}", "{tmp}/empty"], "expected pictures of the same names in"),
        (["{a}", "{tmp}/size"], "expected one size of 'same.png' in both folders, found 20 x 24 and 5 x 4"),
        (["{a}", "{tmp}/text"], "expected a picture (PNG"),
        (["{a}", "{tmp}/twice"], "expected one picture 'same' in"),
        (["{a}", "{b}", "--judge", "{tmp}"], "expected both a judge and texts for a CLIP score, found no texts"),
        (["{a}", "{b}", "--out", "{tmp}/taken"], "or what 'lwmport eval images' wrote, found something else"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    words: list[str], said: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    for name in ("empty", "size", "text", "twice", "taken"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (5, 4)).save(tmp_path / "size" / "same.png")
    (tmp_path / "text" / "same.png").write_text("no picture")
    for kind in ("png", "bmp"):
        Image.new("RGB", (5, 4)).save(tmp_path / "twice" / f"same.{kind}")
    (tmp_path / "taken" / "images.html").write_text("mine")
    result = call(*(word.format(**folders, tmp=tmp_path) for word in words))
    assert isinstance(result.exception, PortError), result.output
    assert said in str(result.exception)
    assert "\n" not in str(result.exception)
