"""A user's inputs: what is taken, and one clear line for everything else."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lwmport.errors import UsageError
from lwmport.runtime.given.wanted import Wanted
from lwmport.runtime.given_inputs import GivenInputs
from lwmport.types import Array, Kind, Normalisation, Preprocessing, TensorSpec

X = TensorSpec(name="x", shape=(1, 4), dtype="float32")
IDS = TensorSpec(name="ids", shape=("batch", "tokens"), dtype="int64", kind=Kind.INDICES, value_range=(0, 9))
MASK = TensorSpec(name="mask", shape=("batch", "past + tokens"), dtype="int64")
CACHE = TensorSpec(name="cache", shape=("batch", 2, "past"), dtype="float32")
RATE = TensorSpec(name="rate", shape=(), dtype="int64")
PICTURE = TensorSpec(name="picture", shape=("batch", 8, 12, 3), dtype="float32", kind=Kind.PICTURE, layout="NHWC")


def npz(folder: Path, **arrays: Any) -> Path:
    path = folder / "in.npz"
    np.savez(path, **arrays)
    return path


def jsonl(folder: Path, *lines: Any) -> Path:
    path = folder / "in.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def taken(path: Path, *specs: TensorSpec, **wanted: Any) -> list[dict[str, Array]]:
    return [dict(sample.inputs) for sample in GivenInputs(path).samples(Wanted(specs=specs, **wanted))]


ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize(
    ("array", "count"),
    [
        *((ROWS[:1], 1), (ROWS, 3), (ROWS[:, None], 3), (ROWS[:1][None], 1)),
        *((ROWS.astype(np.float16), 3), (ROWS.T.copy().T, 3)),
    ],
)
def test_an_array_is_one_sample_or_all(array: Array, count: int, tmp_path: Path) -> None:
    found = taken(npz(tmp_path, x=array), X)
    assert len(found) == count
    for number, sample in enumerate(found):
        assert sample["x"].shape == (1, 4)
        assert sample["x"].dtype == np.float32
        assert np.array_equal(sample["x"], ROWS[number : number + 1])


def test_an_open_first_axis_is_one_run_and_one_axis_more_is_several(tmp_path: Path) -> None:
    ids = np.zeros((5, 3), np.int64)
    assert [sample["ids"].shape for sample in taken(npz(tmp_path, ids=ids), IDS)] == [(5, 3)]
    assert len(taken(npz(tmp_path, ids=ids[:, None]), IDS)) == 5


def test_an_input_that_is_there_once_is_in_every_sample(tmp_path: Path) -> None:
    found = taken(npz(tmp_path, x=ROWS, rate=np.array(16000)), X, RATE)
    assert [int(sample["rate"]) for sample in found] == [16000] * 3


def test_big_endian_and_narrower_integers_are_taken(tmp_path: Path) -> None:
    found = taken(npz(tmp_path, ids=np.array([[1, 2]], ">i4")), IDS)
    assert found[0]["ids"].dtype == np.int64
    assert found[0]["ids"].tolist() == [[1, 2]]


REFUSED: dict[str, tuple[dict[str, Any], tuple[TensorSpec, ...], str]] = {
    "name": ({"y": ROWS}, (X,), "expected the inputs x, found y"),
    "another": ({"x": ROWS, "y": ROWS}, (X,), "expected the inputs x, found x, y"),
    "dtype": ({"x": ROWS.astype(np.float64)}, (X,), r"expected x as float32, found float64; convert it: ARRAY\.astype"),
    "integers": ({"x": ROWS.astype(np.int32)}, (X,), "expected x as float32, found int32"),
    "flags": ({"ids": np.ones((1, 2), bool)}, (IDS,), "expected ids as int64, found bool"),
    "shape": ({"x": ROWS[:, :3]}, (X,), r"x as float32\[1, 4\], or \[samples, 1, 4\] for .* found float32\[3, 3\]"),
    "none": ({"x": ROWS[:0]}, (X,), r"found float32\[0, 4\]"),
    "range": ({"ids": np.array([[3, 10]])}, (IDS,), "expected ids from 0 to 9, found 3 to 10"),
    "negative": ({"ids": np.array([[-1, 2]])}, (IDS,), "expected ids from 0 to 9, found -1 to 2"),
    "counts": (
        {"x": ROWS, "ids": np.zeros((2, 1, 3), np.int64)},
        (X, IDS),
        "expected as many samples of each input, found 3 of x, 2 of ids",
    ),
    "sizes": (
        {"ids": np.zeros((1, 3), np.int64), "cache": np.zeros((2, 2, 0), np.float32)},
        (IDS, CACHE),
        "expected batch 1 of cache as of ids, found 2",
    ),
    "sums": (
        {"ids": np.zeros((1, 3), np.int64), "cache": np.zeros((1, 2, 4), np.float32), "mask": np.ones((1, 3), int)},
        (IDS, CACHE, MASK),
        r"expected past \+ tokens = 7 of mask, found 3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_one_line(name: str, tmp_path: Path) -> None:
    arrays, specs, reason = REFUSED[name]
    with pytest.raises(UsageError, match=reason) as caught:
        taken(npz(tmp_path, **arrays), *specs)
    assert str(tmp_path / "in.npz") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_inputs_of_the_other_models_may_be_there_too(tmp_path: Path) -> None:
    path = npz(tmp_path, x=ROWS, y=ROWS)
    assert len(taken(path, X, others=frozenset({"y"}))) == 3


def test_the_first_samples_are_taken_and_no_more_than_there_are(tmp_path: Path) -> None:
    given, wanted = GivenInputs(npz(tmp_path, x=ROWS)), Wanted(specs=(X,))
    assert len(given.samples(wanted, 2)) == 2
    with pytest.raises(UsageError, match=r"expected at least 4 samples in .*in.npz \(--samples\), found 3"):
        given.samples(wanted, 4)


def _zip(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def _pickled() -> bytes:
    file = io.BytesIO()
    np.savez(file, x=np.array([{"a": 1}], object))
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"not a zip", _zip({}), _zip({"x.txt": b"1"}), _zip({"x.npy": b"\x93NUMPY"}), _pickled()],
)
def test_a_file_that_is_no_npz_is_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "in.npz"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="expected") as caught:
        GivenInputs(path)
    assert "\n" not in str(caught.value)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "in.npz"
    np.savez_compressed(path, x=np.zeros(1 << 20))
    monkeypatch.setattr("lwmport.runtime.given.arrays.MOST", 1 << 20)
    with pytest.raises(UsageError, match=r"of 1,048,576 bytes in all, found 1 of 8,388,736"):
        GivenInputs(path)


def test_lines_may_leave_the_axis_of_the_batch_out(tmp_path: Path) -> None:
    found = taken(jsonl(tmp_path, {"ids": [1, 2, 3]}, "", {"ids": [[4, 5]]}), IDS)
    assert [sample["ids"].tolist() for sample in found] == [[[1, 2, 3]], [[4, 5]]]
    assert taken(jsonl(tmp_path, {"x": [1, 2.5, 3, 4]}), X)[0]["x"].dtype == np.float32


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "line 1: expected JSON"),
        ("[1]", "line 1: expected an object"),
        ('{"ids": NaN}', "NaN is no JSON"),
        ("[" * 100_000, "line 1: expected JSON"),
        ({"ids": [1.5]}, "expected ids as int64, found float64"),
        ({"ids": ["a"]}, "expected ids as int64, found <U1"),
        ({"ids": [[1], [2, 3]]}, "expected ids as a list of equal lists"),
        ({"ids": [1, 10]}, "line 1: expected ids from 0 to 9, found 1 to 10"),
        ({"ids": 3}, r"expected ids as int64\[batch, tokens\], found \[\]"),
        ({"id": [1]}, "line 1: expected the inputs ids, found id"),
        ({"text": "a b"}, "expected the inputs ids, found a text, which this model does not read"),
        ({"ids": [10**30]}, "expected ids as int64"),
    ],
)
def test_a_line_that_does_not_fit_is_named(line: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        taken(jsonl(tmp_path, line), IDS)
    assert "\n" not in str(caught.value)


def tokenizer(folder: Path) -> Path:
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"two": 2, "seven": 7, "?": 0}, unk_token="?"))  # noqa: S106 - no password
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.save(str(folder / "tokenizer.json"))
    return folder


def test_a_text_is_read_by_the_tokenizer_beside_the_weights(tmp_path: Path) -> None:
    path, wanted = jsonl(tmp_path, {"text": "seven two nine"}), Wanted(specs=(IDS,), tokens="ids")
    with pytest.raises(
        UsageError, match=r"expected tokenizer.json beside the checkpoint .* found none, for there is no"
    ):
        GivenInputs(path).samples(wanted)
    with pytest.raises(UsageError, match=r"found none in .*; give ids"):
        GivenInputs(path, tmp_path).samples(wanted)
    (found,) = GivenInputs(path, tokenizer(tmp_path)).samples(wanted)
    assert found.inputs["ids"].tolist() == [[7, 2, 0]]
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UsageError, match="expected a tokenizer in"):
        GivenInputs(path, tmp_path / "weights.bin").samples(wanted)


def pictures(folder: Path, count: int) -> Path:
    random = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    for number in range(count):
        pixels = random.integers(0, 256, (30, 40, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "pictures" / f"{number}.{'png' if number % 2 else 'jpg'}")
    (folder / "pictures/notes.txt").write_text("no picture")
    return folder / "pictures"


def test_pictures_are_prepared_as_the_family_says(tmp_path: Path) -> None:
    folder = pictures(tmp_path, 3)
    plain = GivenInputs(folder).samples(Wanted(specs=(PICTURE,), batch=2))
    assert [sample.titles for sample in plain] == [("0.jpg", "1.png"), ("2.jpg", "0.jpg")]
    assert plain[0].inputs["picture"].shape == (2, 8, 12, 3)
    assert np.abs(plain[0].inputs["picture"]).max() <= 1
    how = Normalisation(mean=(0.5, 0.5, 0.5), deviation=(0.25, 0.25, 0.25))
    (first, *_) = GivenInputs(folder).samples(
        Wanted(specs=(PICTURE,), batch=1, preprocessing={"picture": Preprocessing(normalisation=how)}), 1
    )
    np.testing.assert_allclose(first.inputs["picture"], plain[0].inputs["picture"][:1] * 2, atol=1e-6)
    assert GivenInputs(folder).words(2) == "2 pictures of pictures"


def test_a_folder_and_its_pictures_are_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"expected 1 to 10000 pictures .* found none"):
        GivenInputs(tmp_path)
    folder = pictures(tmp_path, 1)
    with pytest.raises(UsageError, match=r"expected a .npz or a .jsonl with x, found a folder of pictures"):
        taken(folder, X)
    monkeypatch.setattr("lwmport.runtime.given.pictures.MOST_PIXELS", 100)
    with pytest.raises(UsageError, match="expected at most 100 pixels in"):
        taken(folder, PICTURE)
    (folder / "0.jpg").write_bytes(b"\xff\xd8 no picture")
    with pytest.raises(UsageError, match="expected a picture at"):
        taken(folder, PICTURE)


def test_what_is_none_of_the_three_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("1")
    for path, found in ((tmp_path / "in.csv", "in.csv"), (tmp_path / "no", "nothing at")):
        with pytest.raises(
            UsageError, match=f"expected a .npz, a .jsonl or a folder of pictures as --inputs, found .*{found}"
        ):
            GivenInputs(path)
    with pytest.raises(UsageError, match="No such file"):
        GivenInputs(tmp_path / "no.npz")
