"""The tokenizer of trials, with settings of a test's own."""

import json
from pathlib import Path
from typing import Any

from lwmport.generation import byte_tokenizer
from lwmport.generation.tokenizer import SETTINGS


def write_tokenizer(folder: Path, settings: dict[str, Any] | None = None) -> Path:
    byte_tokenizer.write(folder)
    if settings is not None:
        (folder / SETTINGS).write_text(json.dumps(settings))
    return folder
