"""The tokenizer of a model, from the folder of its makers: ``tokenizer.json`` (Hugging Face), by ``tokenizers``.

What special tokens there are, and whether a text begins with one, is read from ``tokenizer_config.json`` beside it.
Nothing in the folder is executed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lwmport.errors import UsageError, one_line
from lwmport.extras import require
from lwmport.instead import in_place_of
from lwmport.small_files import read_small

TEXTS: Final = "tokenizer.json"
SETTINGS: Final = "tokenizer_config.json"
FILES: Final = (TEXTS, SETTINGS, "special_tokens_map.json", "added_tokens.json", "tokenizer.model")
"""What a folder of a tokenizer may hold; the first is needed."""

LARGEST: Final = 64 << 20
"""Bytes of a file."""

UNFINISHED: Final = "\ufffd"
"""What a token that is a part of a character is decoded to."""


class Tokenizer:
    """Texts to tokens and back.

    Args:
        folder: holds `TEXTS`, and beside it `SETTINGS` where special tokens are named.

    Attributes:
        begin: the token that a text begins with; None for none.
        end: the token that ends an answer; None where none is named.
        pad: the token of padding.
        pad_source: where ``pad`` comes from, in words.

    Raises:
        UsageError: there is no tokenizer in the folder, or it is damaged.
        MissingExtraError: ``tokenizers`` is not installed.
    """

    def __init__(self, folder: Path) -> None:
        file = folder / TEXTS
        if not file.is_file():
            raise UsageError(f"expected {TEXTS} or tokenizer.model in {folder}, found none")
        tokenizers = require("tokenizers")
        try:
            self._texts = tokenizers.Tokenizer.from_str(read_small(file, LARGEST).decode())
        except Exception as error:  # the library raises bare Exceptions
            raise UsageError(
                f"expected a tokenizer in {file}, found: {in_place_of(file) or one_line(error)}"
            ) from error
        named = _settings(folder / SETTINGS)
        self.begin = self._token(named, "bos_token", folder)
        self.end = self._token(named, "eos_token", folder)
        pad = self._token(named, "pad_token", folder)
        unknown = self._token(named, "unk_token", folder)
        self.pad = next((token for token in (pad, unknown, self.end) if token is not None), 0)
        self.pad_source = "its pad_token" if pad is not None else "no pad_token: another special token stands for it"
        self._begins = bool(named.get("add_bos_token", self.begin is not None))

    @property
    def size(self) -> int:
        """How many tokens there are, those that were added included."""
        count: int = self._texts.get_vocab_size(with_added_tokens=True)
        return count

    @property
    def vocabulary(self) -> dict[str, int]:
        """Each token and its number, those that were added included."""
        found: dict[str, int] = self._texts.get_vocab(with_added_tokens=True)
        return found

    @property
    def longest(self) -> int:
        """Characters of the longest token."""
        return max(map(len, self.vocabulary), default=1)

    def encode(self, text: str, *, begins: bool = True) -> list[int]:
        """Return the tokens of a text.

        A special token that is written out is one token. ``begins`` puts `begin` before them, where the settings say
        that a text begins with it.
        """
        ids: list[int] = self._texts.encode(text, add_special_tokens=False).ids
        return [self.begin, *ids] if begins and self._begins and self.begin is not None else ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens, without the special ones."""
        text: str = self._texts.decode([int(token) for token in ids], skip_special_tokens=True)
        return text

    def pieces(self, tokens: Iterator[int]) -> Iterator[str]:
        """Yield the text of tokens as they come; what is a part of a character waits for the rest of it."""
        seen: list[int] = []
        told = ""
        for token in tokens:
            seen.append(token)
            text = self.decode(seen)
            if not text.endswith(UNFINISHED):
                yield text[len(told) :]
                told = text
        rest = self.decode(seen)[len(told) :]
        if rest:
            yield rest

    def _token(self, named: Mapping[str, Any], key: str, folder: Path) -> int | None:
        value = named.get(key)
        text = value.get("content") if isinstance(value, dict) else value
        if text is None:
            return None
        token: int | None = self._texts.token_to_id(str(text))
        if token is None:
            raise UsageError(f"expected the {key} {str(text)!r} of {folder / SETTINGS} in {TEXTS}, found no such token")
        return token


def _settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(read_small(path, LARGEST))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"expected JSON in {path}, found: {in_place_of(path) or one_line(error)}") from error
    if not isinstance(found, dict):
        raise UsageError(f"expected an object in {path}, found {type(found).__name__}")
    return found
