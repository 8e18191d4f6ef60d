"""Which tool left a folder, what is never followed, and what is refused before anything is read."""

import os
from pathlib import Path

import numpy as np
import pytest

from lwmport.errors import ArtifactError
from lwmport.runtime.brought import listing
from lwmport.runtime.brought.read import KINDS, read_brought, values
from lwmport.runtime.brought.stored import number_type


def test_what_nobody_wrote_is_refused_with_the_kinds(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("hello")
    with pytest.raises(ArtifactError) as caught:
        read_brought(tmp_path)
    assert all(kind in str(caught.value) for kind in KINDS)
    assert "found 1 files of another kind; docs/device_outputs.md has the commands" in str(caught.value)


def test_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"expected a device's outputs at .*, found: No such file or directory"):
        read_brought(tmp_path / "none")


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.npy")
    with pytest.raises(ArtifactError, match="found 0 files of another kind"):
        read_brought(tmp_path)
    with pytest.raises(ArtifactError, match="expected a folder or a file of a device's outputs, found neither"):
        read_brought(tmp_path / "x.npy")


def test_no_link_is_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        np.save(folder / "x.npy", np.ones(1))
    (inside / "outside").symlink_to(outside)
    (inside / "y\x1b.npy").symlink_to(outside / "x.npy")
    found = read_brought(inside)
    assert [one.source for one in found.tensors] == ["x.npy"]
    assert found.notes == ("links and what is no file are left aside: outside, y\\x1b.npy",)


def test_a_folder_of_more_files_than_any_tool_writes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        np.save(tmp_path / f"{number}.npy", np.ones(1))
    monkeypatch.setattr(listing, "MOST_FILES", 3)
    with pytest.raises(ArtifactError, match="expected at most 3 files, found more; name a folder below"):
        read_brought(tmp_path)


def test_folders_that_never_end_are_refused(tmp_path: Path) -> None:
    tmp_path.joinpath(*["d"] * 20).mkdir(parents=True)
    with pytest.raises(ArtifactError, match="expected at most 12 folders in each other, found more"):
        read_brought(tmp_path)


def test_names_in_messages_are_printable(tmp_path: Path) -> None:
    (tmp_path / "x\x1b[2J\n.npy").write_bytes(b"")
    with pytest.raises(ArtifactError) as caught:
        read_brought(tmp_path)
    assert str(caught.value).isprintable()
    assert r"x\x1b[2J\n.npy: expected a .npy file" in str(caught.value)


def test_values_say_whose_they_are_where_they_do_not_fit(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 3), np.float32))
    (one,) = read_brought(tmp_path).tensors
    with pytest.raises(ArtifactError, match=r"^x.npy: expected values for \[3, 2\], found float32\[2, 3\]$"):
        values(one, (3, 2), "float32")


@pytest.mark.parametrize("name", ["object", "str", "complex64", "datetime64", "nothing", "f4,f4", "V8", "(2,)f4"])
def test_what_is_no_number_has_no_dtype(name: str) -> None:
    assert number_type(name) is None
    assert number_type("bfloat16") is not None
