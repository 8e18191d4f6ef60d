import json
import os
from pathlib import Path

import pytest
from safetensors.numpy import save_file

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


def test_a_folder_whose_files_hold_no_tensor_is_no_checkpoint(tmp_path: Path) -> None:
    sizes = {
        "vocab_size": 8,
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", **sizes}))
    save_file({}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="expected tensors, found"):
        open_checkpoint(tmp_path)
