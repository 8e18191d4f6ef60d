"""bench.json, bench.csv and bench.html: written anew behind each row, so that what was measured stays."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lwmport import atomic, plain
from lwmport.errors import ArtifactError, UsageError
from lwmport.reports import render
from lwmport.reports.speed import plot
from lwmport.reports.speed.record import FORMAT, Bench, BenchRow
from lwmport.small_files import read_small

RECORD: Final = "bench.json"
TABLE: Final = "bench.csv"
PAGE: Final = "bench.html"

COLUMNS: Final = (
    *("input", "output", "batch", "status", "first_s", "next_p50_s", "next_p90_s", "next_p99_s"),
    *("run_p50_s", "run_p90_s", "run_p99_s", "rate", "peak_bytes", "reason"),
)


def document(bench: Bench, key: str) -> dict[str, Any]:
    """Return a measurement as plain JSON values; ``key`` is the digest of what was asked, of what, and where."""
    return {"format": FORMAT, "key": key, **plain.encode(bench)}


def earlier_rows(folder: Path, key: str) -> tuple[BenchRow, ...]:
    """Return the rows of a run of the same request that did not end; none where there is no such run.

    Raises:
        UsageError: files of these names are none of ours, or the folder is a link.
    """
    found = [name for name in (RECORD, TABLE, PAGE) if (folder / name).exists() or (folder / name).is_symlink()]
    if not found:
        return ()
    atomic.real_folder(folder, lambda _: found)
    try:
        value = plain.parsed(read_small(folder / RECORD))
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, Mapping) or value.get("format") != FORMAT:
        raise UsageError(
            f"expected nothing at {folder / found[0]}, or what 'lwmport bench' wrote, found something else; name "
            "another --out"
        )
    if value.get("key") != key:
        return ()
    try:
        return plain.decode(tuple[BenchRow, ...], value.get("rows"), RECORD)
    except ArtifactError:
        return ()


def write(bench: Bench, key: str, folder: Path) -> None:
    """Write the three files; each appears whole."""
    record = json.dumps(document(bench, key), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    for name, text in ((PAGE, page(bench)), (TABLE, table(bench.rows)), (RECORD, record)):
        with atomic.new_file(folder / name) as file:
            file.write(text.encode())


def table(rows: tuple[BenchRow, ...]) -> str:
    """Return the rows as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(cells, rows))
    return text.getvalue()


def cells(row: BenchRow) -> tuple[Any, ...]:
    """Return a row as the columns have it; what was not measured is empty."""
    times = [times.get(name, "") for times in (row.next, row.run) for name in ("p50", "p90", "p99")]
    found = (row.input, row.output, row.batch, row.status, row.first, *times, row.rate, row.peak_bytes, row.reason)
    return tuple("" if cell is None else cell for cell in found)


def page(bench: Bench) -> str:
    """Return the page, which needs no network and no script."""
    return render.page(
        "bench.html.j2",
        bench=bench,
        plots=plot.plots(bench.measured),
        columns=COLUMNS,
        table=[tuple(f"{cell:.4g}" if isinstance(cell, float) else cell for cell in cells(row)) for row in bench.rows],
        width=plot.WIDTH,
        height=plot.HEIGHT,
        left=plot.LEFT,
        right=plot.RIGHT,
        bottom=plot.BOTTOM,
    )
