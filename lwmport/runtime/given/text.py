"""A text that a line of a .jsonl has in place of tokens."""

from pathlib import Path
from typing import Final

from lwmport.errors import UsageError, one_line
from lwmport.extras import require
from lwmport.instead import in_place_of

TEXT: Final = "text"
"""The key of a line that has a text in place of tokens."""

TOKENIZER: Final = "tokenizer.json"

LARGEST_TOKENIZER: Final = 64 << 20


def tokens_of(text: str, beside: Path | None, name: str, where: str) -> list[int]:
    """Return the tokens of a text, by the tokenizer.json that lies beside the weights."""
    folder = None if beside is None else beside if beside.is_dir() else beside.parent
    file = None if folder is None else folder / TOKENIZER
    if file is None or not file.is_file():
        place = "none, for there is no checkpoint" if folder is None else f"none in {folder}"
        raise UsageError(f"{where}: expected {TOKENIZER} beside the checkpoint for a text, found {place}; give {name}")
    if file.stat().st_size > LARGEST_TOKENIZER:
        raise UsageError(f"expected {file} of at most {LARGEST_TOKENIZER:,} bytes, found {file.stat().st_size:,}")
    tokenizers = require("tokenizers")
    try:
        found: list[int] = tokenizers.Tokenizer.from_str(file.read_text(encoding="utf-8")).encode(text).ids
    except Exception as error:  # the library raises bare Exceptions
        raise UsageError(f"expected a tokenizer in {file}, found: {in_place_of(file) or one_line(error)}") from error
    return found
