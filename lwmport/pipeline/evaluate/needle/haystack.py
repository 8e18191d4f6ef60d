"""The long text, as tokens: texts of a file, one behind the other, until there are enough."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lwmport import digest
from lwmport.errors import UsageError
from lwmport.generation.tokenizer import Tokenizer
from lwmport.pipeline.evaluate.language import texts
from lwmport.small_files import open_regular

LONGEST: Final = 256 << 20
"""Bytes of a line, or of a text that is no .jsonl."""


@dataclass(frozen=True, kw_only=True)
class Haystack:
    """A text.

    Attributes:
        name: of the file.
        sha256: of the file.
        ids: their tokens, at least as many as were asked for.
    """

    name: str
    sha256: str
    ids: list[int]


def read_haystack(path: Path | None, tokenizer: Tokenizer, count: int) -> Haystack:
    """Return at least ``count`` tokens of a file; no more of it is read than that takes.

    Raises:
        UsageError: it is no .jsonl of ``{"text": ...}`` and no UTF-8, or it is too short.
    """
    found: list[int] = []
    name = texts.OWN if path is None else path.name
    for text in _texts(path):
        found += tokenizer.encode(text, begins=False)
        if len(found) >= count:
            return Haystack(name=name, sha256=_digest(path), ids=found)
    raise UsageError(
        f"expected at least {count:,} tokens in {name}, as long as the longest context (--lengths), found "
        f"{len(found):,}; give a longer --haystack"
    )


def _digest(path: Path | None) -> str:
    return hashlib.sha256(texts.content_of(None)).hexdigest() if path is None else digest.of_file(path)


def _texts(path: Path | None) -> Iterator[str]:
    if path is None:
        yield texts.utf8(texts.content_of(None), texts.OWN)
    elif path.suffix.lower() == ".jsonl":
        yield from _lines(path)
    else:
        yield texts.utf8(texts.content_of(path), str(path))


def _lines(path: Path) -> Iterator[str]:
    try:
        with open_regular(path) as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST + 1), b""), start=1):
                where = f"{path}, line {number}"
                if len(line) > LONGEST:
                    raise UsageError(f"{where}: expected at most {LONGEST:,} bytes, found more")
                if line.strip():
                    yield _text(line, where)
    except OSError as error:
        raise UsageError(f"expected a text at {path}, found: {error.strerror}") from error


def _text(line: bytes, where: str) -> str:
    text = texts.json_line(texts.utf8(line, where), where).get(texts.TEXT)
    if not isinstance(text, str):
        raise UsageError(f'{where}: expected {{"text": "..."}}, found no text')
    return text
