import os
from pathlib import Path

import pytest

from lwmport.small_files import read_small


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_small(path, 5) == b"12345"
    with pytest.raises(OSError, match="it has more than 4 bytes"):
        read_small(path, 4)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link to a device", "nothing"])
def test_what_is_no_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    found = Path("/dev/zero") if kind == "device" else path
    with pytest.raises(OSError, match=r"pipe or a device|Is a directory|No such file") as told:
        read_small(found)
    assert told.value.strerror
