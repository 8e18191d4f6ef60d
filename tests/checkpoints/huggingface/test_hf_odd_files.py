import os
from pathlib import Path

import pytest

from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.plain_json import read_object
from lwmport.errors import CheckpointError


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_a_device_in_place_of_a_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    for opening in (lambda: open_checkpoint(tmp_path), lambda: read_object(path)):
        with pytest.raises(CheckpointError, match=r"config\.json: cannot be read: it is a pipe or a device"):
            opening()
