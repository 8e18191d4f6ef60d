"""NAME.race.json and NAME.race.html: what was raced, beside what was made of the winner."""

import json
from pathlib import Path
from typing import Any, Final

from lwmport import atomic, owned, plain
from lwmport.errors import UsageError
from lwmport.reports import numbers, render
from lwmport.reports.race.record import FORMAT, Accuracy, Race, RaceRow

COLUMNS: Final = (
    *("way", "threads", "file", "median", "ratio", "from", "to"),
    *("SQNR", "PSNR", "equal", "opens in", "memory", "bound"),
)


def names_of(component: str) -> tuple[str, str]:
    """Return the names of both files of a component."""
    return f"{component}.race.json", f"{component}.race.html"


def document(race: Race) -> dict[str, Any]:
    """Return a race as plain JSON values."""
    return {"format": FORMAT, **plain.encode(race)}


def check_places(folder: Path, component: str) -> None:
    """Return if nothing lies where the files go, or an earlier race.

    Raises:
        UsageError: something else does.
    """
    record, page = (folder / name for name in names_of(component))
    earlier = owned.json_record(record)
    for path in (record, page):
        if (path.exists() or path.is_symlink()) and (earlier is None or earlier.get("format") != FORMAT):
            raise UsageError(
                f"expected nothing at {path}, or what an earlier race wrote, found something else; name another --out"
            )


def write(race: Race, folder: Path) -> None:
    """Write both files; each appears whole."""
    record, page = names_of(race.component)
    text = json.dumps(document(race), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    for name, content in ((page, html(race)), (record, text)):
        with atomic.new_file(folder / name) as file:
            file.write(content.encode())


def html(race: Race) -> str:
    """Return the page, which needs no network and no script."""
    return render.page("race.html.j2", race=race, columns=COLUMNS, table=[cells(row) for row in race.rows])


def cells(row: RaceRow) -> tuple[str, ...]:
    """Return a row as `COLUMNS` have it, in words; of a way that was not raced only why."""
    if row.seconds is None or row.ratio is None or row.accuracy is None:
        return (row.way, str(row.threads), row.artifact, *[""] * (len(COLUMNS) - 4), f"not raced: {row.reason}")
    ratio = row.ratio
    return (
        *(row.way, str(row.threads), row.artifact, numbers.seconds(row.seconds)),
        *(numbers.number(value) for value in (ratio.median, ratio.low, ratio.high)),
        *_accuracy(row.accuracy),
        numbers.seconds(row.opens_s or 0.0),
        numbers.size(row.peak_bytes or 0),
        f"{row.accuracy.verdict}: {row.accuracy.reason}",
    )


def short_cells(row: RaceRow) -> tuple[str, ...]:
    """Return what a terminal has room for: way, median, ratio, SQNR, PSNR, equal integers, and the verdict."""
    if row.seconds is None or row.ratio is None or row.accuracy is None:
        return (row.way, *[""] * 5, "not raced")
    ratio = numbers.number(row.ratio.median)
    return (row.way, numbers.seconds(row.seconds), ratio, *_accuracy(row.accuracy), str(row.accuracy.verdict))


def _accuracy(found: Accuracy) -> tuple[str, ...]:
    levels = (found.sqnr_db, found.psnr_db)
    told = ("" if level is None else numbers.decibels(level) for level in levels)
    return (*told, "" if found.equal is None else numbers.percent(found.equal))
