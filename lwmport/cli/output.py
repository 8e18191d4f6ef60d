"""Printing: JSON and verdicts to standard output, progress to standard error."""

import json
import os
import re
import sys
from typing import Any, Final

import click

STATUS_COLOURS = {"passed": "green", "failed": "red", "not judged": "yellow", "skipped": "yellow"}


def is_plain() -> bool:
    """Return whether a user asked for no colours: NO_COLOR is set (no-color.org), or the terminal is a dumb one."""
    return bool(os.environ.get("NO_COLOR")) or is_dumb()


def is_dumb() -> bool:
    """Return whether the terminal says that it cannot move the cursor."""
    return os.environ.get("TERM", "").lower() in {"dumb", "unknown"}


_reserved: list[int] = []
"""The standard output that documents go to, where it is kept for them."""


def reserve() -> None:
    """Keep standard output for documents: what else is printed, by whatever library, goes to standard error.

    Ray's workers and some runtimes print where a machine expects JSON.
    """
    if not _reserved:
        sys.stdout.flush()
        _reserved.append(os.dup(1))
        os.dup2(2, 1)


UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e\n]")
"""What may be no printable character."""


def print_json(value: Any) -> None:
    """Print one JSON document; what a terminal would obey is escaped as JSON does, so no value changes."""
    text = UNPRINTABLE.sub(_escaped, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))
    if not _reserved:
        click.echo(text)
        return
    with open(_reserved[0], "w", encoding="utf-8", closefd=False) as file:
        file.write(f"{text}\n")


def _escaped(found: re.Match[str]) -> str:
    character = found.group()
    return character if character.isprintable() else json.dumps(character)[1:-1]


def status_word(status: str) -> str:
    """Return a status in capitals, coloured where the terminal can."""
    return click.style(status.upper(), fg=STATUS_COLOURS.get(status), bold=True)


def size(count: int) -> str:
    """Return bytes in the largest decimal unit that keeps three digits: ``585.0 MB``."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} bytes"
