"""How alike pictures of two folders are, as a record and as a page."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lwmport import atomic, plain
from lwmport.errors import UsageError
from lwmport.reports import render
from lwmport.small_files import read_small

FORMAT: Final = "lwmport-images/1"

RECORD: Final = "images.json"
PAGE: Final = "images.html"

SHOWN: Final = 100
"""Pictures on a page, the least alike first; the record has all."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One picture of both folders.

    Attributes:
        name: its path below the folder of A.
        height, width: pixels.
        psnr_db: peak signal to noise ratio of bytes, decibels; infinite where all are equal.
        ssim: structural similarity; None for a picture smaller than its window.
        text: what it was made from; empty without texts.
        cosine_a, cosine_b: CLIP's, of A's and B's picture and the text; None without a judge.
    """

    name: str
    height: int
    width: int
    psnr_db: float
    ssim: float | None
    text: str = ""
    cosine_a: float | None = None
    cosine_b: float | None = None


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """What was found.

    Attributes:
        sentence: the answer in words.
        a, b: names of the folders.
        equal: pictures of which every byte is equal.
        mean_psnr_db: over those that are not; None where all are.
        worst_psnr_db: the smallest of all.
        mean_ssim: over all that have one; None without any.
        worst_ssim: the smallest of them.
        clip_a, clip_b: mean cosines; None without a judge.
        only_a, only_b: pictures that one folder alone has.
        facts: what was computed, and by whom, by name.
        pairs: the least alike first.
    """

    sentence: str
    a: str
    b: str
    equal: int
    mean_psnr_db: float | None
    worst_psnr_db: float
    mean_ssim: float | None
    worst_ssim: float | None
    clip_a: float | None
    clip_b: float | None
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    facts: Mapping[str, str]
    pairs: tuple[Pair, ...]


def document(found: Likeness) -> dict[str, Any]:
    """Return it as plain JSON values."""
    return {"format": FORMAT, **plain.encode(found)}


def check_ours(folder: Path) -> None:
    """Return if nothing stands at the names of the files, or what an earlier comparison wrote.

    Raises:
        UsageError: something else does, or the folder is a link and they do.
    """
    found = [name for name in (RECORD, PAGE) if (folder / name).exists() or (folder / name).is_symlink()]
    if not found:
        return
    atomic.real_folder(folder, lambda _: found)
    try:
        value = plain.parsed(read_small(folder / RECORD))
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, Mapping) or value.get("format") != FORMAT:
        raise UsageError(
            f"expected nothing at {folder / found[0]}, or what 'lwmport eval images' wrote, found something else; name "
            "another --out"
        )


def write(found: Likeness, small: Mapping[str, tuple[bytes, bytes]], folder: Path) -> None:
    """Write the page and the record; each appears whole. ``small`` are JPEG files of A and B by name."""
    record = json.dumps(document(found), indent=1, ensure_ascii=False, allow_nan=False)
    for name, text in ((PAGE, page(found, small)), (RECORD, record)):
        with atomic.new_file(folder / name) as file:
            file.write(f"{text}\n".encode())


def page(found: Likeness, small: Mapping[str, tuple[bytes, bytes]]) -> str:
    """Return the page, which needs no network and no script, with the pictures in it."""
    sources = {name: [_uri(content) for content in both] for name, both in small.items()}
    return render.page("images.html.j2", found=found, pairs=found.pairs[:SHOWN], sources=sources)


def _uri(content: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
