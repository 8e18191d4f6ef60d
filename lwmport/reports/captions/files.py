"""captions.json, captions.html and captions.md of a comparison of captions."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lwmport import atomic, plain
from lwmport.errors import UsageError
from lwmport.reports import render
from lwmport.reports.captions.record import FORMAT, Captions
from lwmport.small_files import read_small

RECORD: Final = "captions.json"
PAGE: Final = "captions.html"
TEXT: Final = "captions.md"

SHOWN: Final = 200
"""Pictures on a page, the worst first; the record has all."""


def document(found: Captions) -> dict[str, Any]:
    """Return a comparison as plain JSON values."""
    return {"format": FORMAT, **plain.encode(found)}


def check_ours(folder: Path) -> None:
    """Return if nothing stands at the names of the files, or what an earlier comparison wrote.

    Raises:
        UsageError: something else does, or the folder is a link and they do.
    """
    found = [name for name in (RECORD, PAGE, TEXT) if (folder / name).exists() or (folder / name).is_symlink()]
    if not found:
        return
    atomic.real_folder(folder, lambda _: found)
    try:
        value = json.loads(read_small(folder / RECORD))
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, Mapping) or value.get("format") != FORMAT:
        raise UsageError(
            f"expected nothing at {folder / found[0]}, or what 'lwmport eval captions' wrote, found something else; "
            "name another --out"
        )


def write(found: Captions, small: Mapping[str, bytes], folder: Path) -> None:
    """Write the three files; each appears whole. ``small`` are JPEG files by picture."""
    record = json.dumps(document(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    for name, text in ((PAGE, page(found, small)), (TEXT, markdown(found)), (RECORD, record)):
        with atomic.new_file(folder / name) as file:
            file.write(text.encode())


def page(found: Captions, small: Mapping[str, bytes]) -> str:
    """Return the page, which needs no network and no script, with the pictures in it."""
    sources = {name: f"data:image/jpeg;base64,{base64.b64encode(content).decode()}" for name, content in small.items()}
    return render.page("captions.html.j2", found=found, pairs=found.pairs[:SHOWN], sources=sources)


def markdown(found: Captions) -> str:
    """Return the same as Markdown, without pictures."""
    return render.text("captions.md.j2", found=found, pairs=found.pairs[:SHOWN])
