"""A bisection's folder: bisect.json for programs, bisect.junit.xml for continuous integration, a page, and Markdown."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from lwmport import atomic, owned
from lwmport.reports import bisect_view, bisect_words, depth_chart, junit, render
from lwmport.reports.bisection import Bisection, as_json
from lwmport.reports.junit_results import of_bisection
from lwmport.wording import shown, told

FORMAT: Final = "lwmport-bisection/1"
RECORD: Final = "bisect.json"
NAMES: Final = ("bisect.html", "bisect.md", "bisect.junit.xml", RECORD)
"""What a bisection writes into its folder."""

listed: Final = owned.listed(Path(RECORD), FORMAT)
"""The files of a bisection that an earlier run has left in a folder (`lwmport.owned.Reader`)."""


def write_bisection(found: Bisection, folder: Path) -> None:
    """Write bisect.html, bisect.md, bisect.junit.xml and bisect.json, all of them or none.

    Files of an earlier bisection in the folder are replaced, and nothing else.

    Raises:
        UsageError: a file of the user's has one of these names.
        PortError: the folder cannot be written.
    """
    with atomic.new_folder(folder, last=RECORD, owned=owned.Earlier(listed), others=False) as scratch:
        write_files(found, scratch)


def write_files(found: Bisection, folder: Path) -> None:
    """Write the files of a bisection into a folder that has none of these names."""
    made = {
        "bisect.html": page(found).encode(),
        "bisect.md": markdown(found).encode(),
        "bisect.junit.xml": junit.document(f"bisect {found.component}", of_bisection(found)),
    }
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in made.items()}
    value = {"format": FORMAT, **as_json(found), "files": digests}
    record = json.dumps(value, indent=1, ensure_ascii=True, allow_nan=False) + "\n"
    for name, content in {**made, RECORD: record.encode()}.items():
        (folder / name).write_bytes(content)


def page(found: Bisection) -> str:
    """Return the page, which needs nothing beside it."""
    return render.page(
        "bisect.html.j2",
        found=found,
        drawn=depth_chart.depth_chart(found),
        chart=depth_chart,
        picture=found.first and bisect_view.heat(found.first),
        **_WORDS,
    )


def markdown(found: Bisection) -> str:
    """Return the same as Markdown, without what is drawn."""
    return render.text("bisect.md.j2", found=found, **_WORDS)


_WORDS: Final[dict[str, Any]] = {
    "words": bisect_words,
    "view": bisect_view,
    "decibels": bisect_words.decibels,
    "shown": shown,
    "told": told,
}
