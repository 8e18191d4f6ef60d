"""Folders as ais_bench writes them: files named after inputs, outputs by position, samples by the summary."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lwmport.errors import ArtifactError
from lwmport.runtime.brought.read import matched, read_brought, values

LOGITS = np.arange(12, dtype=np.float32).reshape(1, 3, 4) / 4
TOKENS = np.array([[7, 1, 2]], np.int64)


def as_text(path: Path, array: Any) -> None:
    """Write an array as ais_bench does with --outfmt TXT: a row a line, six decimals or whole numbers."""
    rows = array.reshape(-1, array.shape[-1])
    line = ("%f" if array.dtype.kind == "f" else "%d") + " "
    path.write_text("".join("".join(line % value for value in row) + "\n" for row in rows))


def summary(folder: Path, files: dict[str, list[str]]) -> None:
    told = {
        "filesinfo": {
            sample: {"infiles": ["/data/a.npy"], "outfiles": [f"{folder}/{name}" for name in names]}
            for sample, names in files.items()
        },
        "args": ["ais_bench"],
        "NPU_compute_time": {"min": 1.0, "max": 1.0, "mean": 1.0, "median": 1.0, "percentile(99%)": 1.0, "count": 1},
        "throughput": 1000.0,
    }
    folder.with_name(f"{folder.name}_summary.json").write_text(json.dumps(told))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two samples of a model with two outputs."""
    folder = tmp_path / "out" / "run"
    folder.mkdir(parents=True)
    for number, stem in enumerate(("second", "first")):
        np.save(folder / f"{stem}_0.npy", LOGITS + number)
        np.save(folder / f"{stem}_1.npy", TOKENS)
    summary(folder, {"0": ["second_0.npy", "second_1.npy"], "1": ["first_0.npy", "first_1.npy"]})
    return folder


@pytest.mark.parametrize("where", ["", ".."])
def test_samples_and_outputs_are_those_of_the_summary(run: Path, where: str) -> None:
    found = read_brought((run / where).resolve())
    assert found.kind == "ais_bench"
    assert [(one.names, one.role, one.index, one.sample) for one in found.tensors] == [
        ((), "output", 0, 1),
        ((), "output", 1, 1),
        ((), "output", 0, 0),
        ((), "output", 1, 0),
    ]
    names = ["logits", "tokens"]
    second = matched(found, names, outputs=names, sample=1)
    assert np.array_equal(values(second["logits"], (1, 3, 4), "float32"), LOGITS + 1)
    assert values(second["tokens"], (1, 3), "int64").tolist() == [[7, 1, 2]]
    assert matched(found, names) == {}, "without the model's order a position is no name"
    assert found.notes == ()


def test_a_run_without_inputs_needs_no_summary(tmp_path: Path) -> None:
    LOGITS.tofile(tmp_path / "pure_infer_data_0.bin")
    as_text(tmp_path / "pure_infer_data_1.txt", TOKENS)
    found = read_brought(tmp_path)
    assert found.notes == (
        "a .bin or .txt tells no dtype: the model's is taken, and must fit its size; a .npy tells (--outfmt NPY)",
    )
    assert [(one.shape, one.dtype) for one in found.tensors] == [(None, ""), (None, "")]
    logits, tokens = found.tensors
    assert np.array_equal(values(logits, (1, 3, 4), "float32"), LOGITS)
    assert values(tokens, (1, 3), "int64").tolist() == [[7, 1, 2]]
    with pytest.raises(ArtifactError, match=r"expected values for \[1, 3, 4\], found float16\[24\]"):
        values(logits, (1, 3, 4), "float16")


def test_text_has_six_decimals(tmp_path: Path) -> None:
    as_text(tmp_path / "pure_infer_data_0.txt", LOGITS)
    assert np.array_equal(values(read_brought(tmp_path).tensors[0], (1, 3, 4), "float32"), LOGITS)
    (tmp_path / "pure_infer_data_0.txt").write_text("1 2 three \n")
    with pytest.raises(ArtifactError, match=r"pure_infer_data_0.txt: expected numbers, found"):
        values(read_brought(tmp_path).tensors[0], (1, 3), "float32")


def test_one_file_of_a_run_is_no_run(run: Path) -> None:
    assert read_brought(run / "first_0.npy").kind == "npy folder"


def test_what_is_not_of_the_run_is_left_aside(run: Path) -> None:
    np.save(run / "older_0.npy", LOGITS)
    (run / "profile.csv").write_text("")
    found = read_brought(run)
    assert found.notes == ("2 left aside: older_0.npy is no output of this run, profile.csv is no output of this run",)


def test_files_that_are_missing_are_told(run: Path) -> None:
    (run / "first_1.npy").unlink()
    with pytest.raises(ArtifactError, match=r"found 1 of them missing: first_1.npy; copy the folder again"):
        read_brought(run)


def test_two_runs_are_told_apart_by_who_asks(run: Path) -> None:
    summary(run.with_name("later"), {})
    with pytest.raises(ArtifactError, match=r"expected one run of ais_bench, found 2: .*; name a folder"):
        read_brought(run.parent)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"filesinfo": {"0"', "expected JSON of ais_bench, found damage"),
        ("[" * 100_000, "expected JSON of ais_bench, found damage"),
        ("[]", "expected filesinfo of ais_bench, found none"),
        ('{"filesinfo": {"x\\u001b": {"outfiles": []}}}', r"samples by number, found x\\x1b"),
        ('{"filesinfo": {"0": {"outfiles": 3}}}', "samples by number, found 0"),
    ],
)
def test_a_damaged_summary_costs_one_line(run: Path, content: str, reason: str) -> None:
    run.with_name("run_summary.json").write_text(content)
    with pytest.raises(ArtifactError, match=reason) as caught:
        read_brought(run)
    assert str(caught.value).isprintable()


def test_no_path_of_a_summary_is_followed(run: Path) -> None:
    np.save(run.parent / "secret_0.npy", LOGITS)
    summary(run, {"0": ["../secret_0.npy", "second_0.npy"]})
    with pytest.raises(ArtifactError, match=r"missing: secret_0.npy"):
        read_brought(run)


def test_a_cut_output_costs_one_line(run: Path) -> None:
    (run / "first_0.npy").write_bytes((run / "first_0.npy").read_bytes()[:-4])
    with pytest.raises(ArtifactError, match=r"first_0.npy: expected 48 bytes of float32\[1, 3, 4\], found 44"):
        read_brought(run)
