"""What an unfinished search has found is read again; a damaged file counts as none."""

from pathlib import Path

import numpy as np

from lwmport.pipeline.bisect.kept import Kept


def test_values_come_back(tmp_path: Path) -> None:
    Kept(tmp_path, "a").write("walk", {"start": 3, "right": [{"x": np.arange(4)}]})
    found = Kept(tmp_path, "a").read("walk")
    assert found["start"] == 3
    np.testing.assert_array_equal(found["right"][0]["x"], np.arange(4))
    assert Kept(tmp_path, "b").read("walk") is None


def test_a_damaged_file_counts_as_none(tmp_path: Path) -> None:
    kept = Kept(tmp_path, "a")
    kept.write("walk", {"start": 3})
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:9])
    assert kept.read("walk") is None


def test_without_a_folder_nothing_is_kept() -> None:
    kept = Kept(None, "a")
    kept.write("walk", 1)
    assert kept.read("walk") is None
    assert not kept.is_due()
