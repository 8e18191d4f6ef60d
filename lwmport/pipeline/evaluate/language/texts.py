"""The text that models are judged on: of a user, as UTF-8 or as tokens, or the one that comes with this project."""

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from lwmport import plain
from lwmport.errors import UsageError, one_line
from lwmport.generation.tokenizer import Tokenizer
from lwmport.runtime.given.arrays import read_arrays
from lwmport.runtime.session.layout import CODES, IDS, MASK
from lwmport.small_files import read_small
from lwmport.types import Array
from lwmport.wording import few

OWN: Final = "alice.txt"
"""Chapters I and II of Alice's Adventures in Wonderland (Lewis Carroll, 1865; in the public domain)."""

TEXT: Final = "text"
LARGEST: Final = 1 << 30
"""Bytes of a text."""


class ReadsTexts(Protocol):
    """A model that has a tokenizer."""

    def texts(self) -> Tokenizer:
        """Return the tokenizer.

        Raises:
            UsageError: there is none.
        """


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A text as tokens: ids int64 [n], and which of them are codes, bool [n]."""

    ids: Array
    codes: Array


@dataclass(frozen=True, kw_only=True)
class Source:
    """What was read.

    Attributes:
        name: of the file, or of our own text.
        sha256: of the file.
        pieces: texts that have nothing to do with each other.
        begin: the token that every text begins with; None for none, and where tokens were given.
        samples: whether each piece is a sample by itself, as those of a .npz and a .jsonl are.
    """

    name: str
    sha256: str
    pieces: tuple[Piece, ...]
    begin: int | None
    samples: bool = False

    @property
    def tokens(self) -> int:
        """How many there are."""
        return sum(len(piece.ids) for piece in self.pieces)


def read_source(path: Path | None, model: ReadsTexts) -> Source:
    """Return a text as tokens of a model.

    Args:
        path: a .npz of ``input_ids`` [rows, n] or [n], and where needed ``attention_mask`` and ``vision_masks``; a
            .jsonl of ``{"text": ...}`` or ``{"input_ids": [...], "vision_masks": [...]}``; or UTF-8. None: our own.
        model: its tokenizer makes the tokens.

    Raises:
        UsageError: the file is none of these, or there is no tokenizer for a text.
    """
    content = content_of(path)
    found = hashlib.sha256(content).hexdigest()
    name = OWN if path is None else path.name
    kind = "" if path is None else path.suffix.lower()
    if path is not None and kind == ".npz":
        return Source(name=name, sha256=found, pieces=_rows(path), begin=None, samples=True)
    if path is not None and kind == ".jsonl":
        return _lines(content, path, found, model)
    tokenizer = model.texts()
    piece = _encoded(utf8(content, str(path or OWN)), tokenizer)
    return Source(name=name, sha256=found, pieces=(piece,), begin=begin_of(tokenizer))


def begin_of(tokenizer: Tokenizer) -> int | None:
    """Return the token that every text begins with."""
    return next(iter(tokenizer.encode("")), None)


def content_of(path: Path | None) -> bytes:
    """Return the bytes of a file, or of our own text.

    Raises:
        UsageError: there is none.
    """
    if path is None:
        return (resources.files(__package__) / "data" / OWN).read_bytes()
    try:
        return read_small(path, LARGEST)
    except OSError as error:
        raise UsageError(f"expected a text at {path}, found: {error.strerror}") from error


def utf8(content: bytes, where: str) -> str:
    """Return a text.

    Raises:
        UsageError: it is no UTF-8, or empty.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"expected UTF-8 in {where}, found another byte at {error.start:,}") from error
    if not text.strip():
        raise UsageError(f"expected a text in {where}, found nothing but space")
    return text


def _encoded(text: str, tokenizer: Tokenizer) -> Piece:
    ids = np.asarray(tokenizer.encode(text), np.int64)
    return Piece(ids=ids, codes=np.zeros(ids.shape, bool))


def _rows(path: Path) -> tuple[Piece, ...]:
    """Return the rows of a .npz, without padding."""
    arrays = read_arrays(path)
    strange = sorted(set(arrays) - {IDS, MASK, CODES})
    if IDS not in arrays or strange:
        raise UsageError(f"{path}: expected {IDS}, and where needed {MASK} and {CODES}, found {few(sorted(arrays))}")
    ids = np.atleast_2d(arrays[IDS])
    mask = np.atleast_2d(arrays.get(MASK, np.ones_like(ids)))
    codes = np.atleast_2d(arrays.get(CODES, np.zeros(ids.shape, bool)))
    if ids.ndim != 2 or ids.dtype.kind not in "iu" or mask.shape != ids.shape or codes.shape != ids.shape:
        found = f"{ids.dtype}{list(ids.shape)}, {MASK} {list(mask.shape)}, {CODES} {list(codes.shape)}"
        raise UsageError(f"{path}: expected integers [rows, n], and masks of the same shape, found {IDS} {found}")
    return tuple(
        Piece(ids=row[shown].astype(np.int64), codes=kinds[shown].astype(bool))
        for row, shown, kinds in zip(ids, mask.astype(bool), codes, strict=True)
    )


def _lines(content: bytes, path: Path, sha256: str, model: ReadsTexts) -> Source:
    pieces, begin = [], None
    for number, line in enumerate(utf8(content, str(path)).split("\n"), start=1):
        if not line.strip():
            continue
        value = json_line(line, f"{path}, line {number}")
        text = value.get(TEXT)
        if isinstance(text, str) and text:
            tokenizer = model.texts()
            begin = begin_of(tokenizer)
            pieces.append(_encoded(text, tokenizer))
        else:
            pieces.append(_given(value, f"{path}, line {number}"))
    return Source(name=path.name, sha256=sha256, pieces=tuple(pieces), begin=begin, samples=True)


def json_line(line: str, where: str) -> dict[str, object]:
    """Return the object in a line of a .jsonl.

    Raises:
        UsageError: there is none.
    """
    try:
        value = plain.parsed(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: expected JSON, found: {one_line(error)}") from error
    if not isinstance(value, dict):
        raise UsageError(f'{where}: expected an object like {{"text": "..."}}, found another value')
    return value


def _given(value: dict[str, object], where: str) -> Piece:
    try:
        ids = np.asarray(value.get(IDS))
        codes = np.asarray(value.get(CODES, np.zeros(ids.shape, bool)))
    except (ValueError, OverflowError, RecursionError) as error:
        raise UsageError(f"{where}: expected lists of numbers, found: {one_line(error)}") from error
    if ids.ndim != 1 or ids.dtype.kind not in "iu" or codes.shape != ids.shape or codes.dtype != bool:
        raise UsageError(
            f"{where}: expected some {TEXT}, or {IDS} as whole numbers [n] and {CODES} as true and false [n], "
            f"found {few(sorted(value))}"
        )
    return Piece(ids=ids.astype(np.int64), codes=codes)
