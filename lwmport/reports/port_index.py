"""The files of an index of ports: a page with filters, Markdown, and JSON that holds all of it."""

import hashlib
import json
from pathlib import Path
from typing import Final

from lwmport import atomic, owned, placing, plain
from lwmport.reports import render
from lwmport.reports.index_filters import filters_of
from lwmport.reports.ports import FORMAT, RECORD, PortReport, listed

PAGES: Final = ("index.html", "index.md", RECORD)
"""What is written into the folder of all ports."""

ROWS: Final = 50
"""Changes against an earlier run that are listed."""


def check_pages(folder: Path) -> None:
    """Return if nothing of the user's has the name of a page, before any job is run.

    Raises:
        UsageError: there is such a file, or a link.
    """
    folder = atomic.real_folder(folder)
    placing.check_way(folder, PAGES, {*owned.Earlier(listed)(folder), *placing.noted(folder)})


def write_index(report: PortReport, folder: Path) -> None:
    """Write index.html, index.md and index.json into a folder."""
    value = {"format": FORMAT, "status": report.status, "sentence": report.sentence, **plain.encode(report)}
    pages = {
        "index.html": page(report).encode(),
        "index.md": render.text("ports.md.j2", report=report, rows_of_trends=ROWS).encode(),
    }
    value["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in pages.items()}
    record = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic.new_folder(folder, last=RECORD, owned=owned.Earlier(listed), others=False) as scratch:
        for name, content in {**pages, RECORD: record.encode()}.items():
            (scratch / name).write_bytes(content)


def page(report: PortReport) -> str:
    """Return the page, whose filters are rules of its own style."""
    found = filters_of(report.jobs)
    return render.page("ports.html.j2", rules=found.style, report=report, filters=found, rows_of_trends=ROWS)
