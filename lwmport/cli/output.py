"""Printing: JSON and verdicts to standard output, progress to standard error."""

import json
import os
from typing import Any

import click

STATUS_COLOURS = {"passed": "green", "failed": "red", "not judged": "yellow", "skipped": "yellow"}


def is_plain() -> bool:
    """Return whether a user asked for no colours: NO_COLOR is set (no-color.org), or the terminal is a dumb one."""
    return bool(os.environ.get("NO_COLOR")) or is_dumb()


def is_dumb() -> bool:
    """Return whether the terminal says that it cannot move the cursor."""
    return os.environ.get("TERM", "").lower() in {"dumb", "unknown"}


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))


def status_word(status: str) -> str:
    """Return a status in capitals, coloured where the terminal can."""
    return click.style(status.upper(), fg=STATUS_COLOURS.get(status), bold=True)


def size(count: int) -> str:
    """Return bytes in the largest decimal unit that keeps three digits: ``585.0 MB``."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} bytes"
