"""A needle test as a record, which a later run goes on with; the page with its heat map; the rows that LWM writes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lwmport import atomic, plain
from lwmport.errors import PortError, UsageError
from lwmport.reports import render
from lwmport.small_files import read_small

FORMAT: Final = "lwmport-needle/1"

RECORD: Final = "needle.json"
PAGE: Final = "needle.html"
ROWS: Final = "results.json"
"""LWM's own form: a list of rows."""

STEPS: Final = 10
"""Colours of the heat map behind the first one."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One trial, with the names of LWM's script.

    Attributes:
        context_length: tokens of the context, the prompt around it and the answer included.
        depth_percent: where the first needle is, 0 to 100.
        response: what the model said.
        answer: the numbers that were asked for, in the order of the question.
        correct: whether each of them is in the response.
        seed: of the cities and the numbers.
    """

    context_length: int
    depth_percent: int
    response: str
    answer: tuple[str, ...]
    correct: tuple[bool, ...]
    seed: int

    @property
    def key(self) -> tuple[int, int, int]:
        """What tells one trial from the others."""
        return self.context_length, self.depth_percent, self.seed


@dataclass(frozen=True, kw_only=True)
class Needle:
    """What was found.

    Attributes:
        model: the name of the folder.
        haystack: the name of the text.
        needles_total: how many were hidden.
        needles_asked: how many of them were asked for.
        settings: all else that the answers depend on, by name; a run goes on where they are the same.
        lengths: the lengths of the contexts.
        depths: the depths.
        results: the trials so far.
    """

    model: str
    haystack: str
    needles_total: int
    needles_asked: int
    settings: Mapping[str, str]
    lengths: tuple[int, ...]
    depths: tuple[int, ...]
    results: tuple[Row, ...] = ()

    @property
    def accuracy(self) -> float | None:
        """The part of the numbers that were found; None without a trial."""
        return _share(self.results)

    def cell(self, length: int, depth: int) -> float | None:
        """The same of one length and depth."""
        return _share([row for row in self.results if (row.context_length, row.depth_percent) == (length, depth)])


def _share(rows: Any) -> float | None:
    found = [one for row in rows for one in row.correct]
    return sum(found) / len(found) if found else None


def document(found: Needle) -> dict[str, Any]:
    """Return it as plain JSON values."""
    return {"format": FORMAT, **plain.encode(found), "accuracy": found.accuracy}


def earlier(asked: Needle, folder: Path) -> tuple[Row, ...]:
    """Return the trials of an earlier run of the same test in a folder.

    Raises:
        UsageError: something else is there, or the folder is a link to an earlier run.
    """
    path = folder / RECORD
    taken = [name for name in (RECORD, PAGE, ROWS) if (folder / name).exists() or (folder / name).is_symlink()]
    if not taken:
        return ()
    atomic.real_folder(folder, lambda _: taken)
    try:
        value = plain.parsed(read_small(path))
        value = {name: item for name, item in value.items() if name not in {"format", "accuracy"}}
        found = plain.decode(Needle, value, str(path))
    except (OSError, ValueError, RecursionError, AttributeError, PortError):
        found = None
    if found is None:
        raise UsageError(
            f"expected nothing at {folder / taken[0]}, or what 'lwmport eval needle' wrote, found something else; name "
            "another --out"
        )
    names = ("model", "haystack", "needles_total", "needles_asked", "settings")
    other = [name for name in names if getattr(found, name) != getattr(asked, name)]
    if other:
        changed = [name for name in asked.settings if found.settings.get(name) != asked.settings[name]]
        raise UsageError(
            f"expected results of the same test in {path}, found one with another {', '.join(changed or other)}; name "
            "another --out"
        )
    return found.results


def write(found: Needle, folder: Path) -> None:
    """Write the record, the rows and the page; each appears whole."""
    rows = [_as_lwm(row, single=found.needles_asked == 1) for row in found.results]
    for name, text in (
        (RECORD, json.dumps(document(found), indent=1, ensure_ascii=False, allow_nan=False)),
        (ROWS, json.dumps(rows, indent=1, ensure_ascii=False)),
        (PAGE, page(found)),
    ):
        with atomic.new_file(folder / name) as file:
            file.write(f"{text}\n".encode())


def _as_lwm(row: Row, *, single: bool) -> dict[str, Any]:
    values: dict[str, Any] = plain.encode(row)
    if single:
        values |= {"answer": row.answer[0], "correct": row.correct[0]}
    return values


def page(found: Needle) -> str:
    """Return the page, which needs no network and no script."""
    return render.page("needle.html.j2", rules=_rules(), found=found, step=step)


def step(share: float) -> int:
    """Return which colour a part has: 0 to `STEPS`."""
    return round(share * STEPS)


def _rules() -> str:
    """Return the colours: from red over yellow to green, in steps of lightness too; the ink is dark on all of them."""
    return ".heat td { padding-left: 10px; }\n" + "".join(
        f".heat .h{number} {{ background: hsl({12 * number} 70% {62 + 2 * number}%); color: #14181f; }}\n"
        for number in range(STEPS + 1)
    )
