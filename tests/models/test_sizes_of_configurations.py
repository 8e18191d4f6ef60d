"""A configuration of others may ask for anything: what no model has is refused before anything is made for it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from lwmport.errors import ConfigError
from lwmport.models.families import resolve

SIZES: dict[str, tuple[str, dict[str, Any], str]] = {
    "layers": ("llama", {"num_hidden_layers": 2**31 - 1}, "at most 1,000 as num_hidden_layers"),
    "words": ("llama", {"vocab_size": 2**31}, "at most 2,147,483,647 as vocab_size"),
    "pixels": ("vqgan", {"resolution": 2**40}, "at most 2,147,483,647 as resolution"),
    "blocks": ("vqgan", {"num_res_blocks": 2**31 - 1}, "at most 1,000 as num_res_blocks"),
    "levels": ("vqgan", {"channel_mult": [1] * 4000}, "at most 16 levels as channel_mult"),
}


@pytest.mark.parametrize("name", SIZES)
def test_a_size_that_no_model_has_is_refused(name: str, tmp_path: Path) -> None:
    component, fields, line = SIZES[name]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(fields))
    with pytest.raises(ConfigError, match=line):
        resolve(component, str(path))


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_configuration_is_a_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match="it is a pipe or a device, and no file"):
        resolve("llama", str(path))
