"""Printing: JSON and verdicts to standard output, progress to standard error."""

import json
import re
from typing import Any, Final

import click

STATUS_COLOURS = {"passed": "green", "failed": "red", "skipped": "yellow"}


UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e\n]")
"""What may be no printable character."""


def print_json(value: Any) -> None:
    """Print one JSON document; what a terminal would obey is escaped as JSON does, so no value changes."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    click.echo(UNPRINTABLE.sub(_escaped, text))


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
