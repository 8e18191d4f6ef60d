"""What a comparison writes into a folder: compare.json, and compare.html, which opens without a network."""

import hashlib
import json
from pathlib import Path
from typing import Final

from lwmport import atomic, owned, placing
from lwmport.reports import render
from lwmport.reports.comparison import layout
from lwmport.reports.comparison.document import FORMAT, document
from lwmport.reports.comparison.drawing import drawing
from lwmport.reports.comparison.record import Comparison
from lwmport.reports.comparison.repeats import collapsed
from lwmport.reports.comparison.rows import differing, operator_rows, totals

RECORD: Final = "compare.json"
PAGE: Final = "compare.html"

listed: Final = owned.listed(Path(RECORD), FORMAT)
"""The files that an earlier comparison has left in a folder (`lwmport.owned.Reader`)."""

SHOWN: Final = 200
"""Modules that differ, and objections of a target, that a page lists."""


def check_pages(folder: Path) -> None:
    """Return if a page can be drawn and nothing of the user's has the name of one, before anything is compared.

    Raises:
        UsageError: there is such a file, or a link.
        MissingExtraError: what places the boxes is not installed.
    """
    layout.check_installed()
    folder = atomic.real_folder(folder)
    placing.check_way(folder, (PAGE, RECORD), {*owned.Earlier(listed)(folder), *placing.noted(folder)})


def write_pages(found: Comparison, folder: Path) -> None:
    """Write compare.html and compare.json into a folder; nothing else in it is touched.

    Raises:
        PortError: the folder cannot be written.
    """
    root = collapsed(found.root)
    content = render.page(
        "compare.html.j2",
        "compare.css",
        found=found,
        drawing=drawing(found, root),
        rows=differing(root),
        operators=operator_rows(found),
        totals=totals(found),
        most=SHOWN,
    ).encode()
    value = {**document(found), "files": {PAGE: hashlib.sha256(content).hexdigest()}}
    record = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic.new_folder(folder, last=RECORD, owned=owned.Earlier(listed), others=False) as scratch:
        (scratch / PAGE).write_bytes(content)
        (scratch / RECORD).write_bytes(record.encode())
