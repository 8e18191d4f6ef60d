"""A recipe of quantisation: patterns of names of weights, and how each weight that one fits is rounded, or kept.

A file is TOML, patterns in the order in which they are tried::

    ["transformer/h/*/feed_forward/w2/kernel"]
    kind = "w8a16"
    group_size = 128
    method = "rtn"

    ["lm_head/kernel"]
    keep = "float16"

Options and manifests hold each table as one text of JSON, so that they need no file.
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from lwmport.errors import UsageError, one_line
from lwmport.models.schemes import INTEGERS, KEPT, SCHEMES, check_group
from lwmport.options import OPTIONS
from lwmport.small_files import read_small
from lwmport.types import Scheme

KEEP: Final = "keep"
FIELDS: Final[Mapping[str, type]] = {"kind": str, "group_size": int, "symmetric": bool, "method": str, KEEP: str}
"""What a table may say, and of which type it is."""

METHODS: Final = next(option.choices for option in OPTIONS if option.key == "method")

LARGEST: Final = 1 << 20
"""Bytes of a recipe."""


def expanded(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the rules of files and of texts as texts, in order.

    Raises:
        UsageError: a file cannot be read, or a table says what no weight can have.
    """
    found: list[str] = []
    for text in texts:
        where = "--recipe" if text.startswith("{") else text
        tables = _object(text) if text.startswith("{") else _file(Path(text))
        for pattern, table in tables.items():
            _check(table, f"{where}: {pattern}")
            found.append(json.dumps({pattern: table}, sort_keys=True))
    return tuple(found)


def rules(texts: Sequence[str]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return pattern and table of each text that `expanded` returned."""
    return [item for text in texts for item in json.loads(text).items()]


def ruled(usual: Scheme, table: Mapping[str, Any]) -> Scheme | None:
    """Return the scheme that a table asks for, with what it leaves out as ``usual`` has it; None for float32."""
    if KEEP in table:
        return SCHEMES.get(table[KEEP])
    kind = INTEGERS[table.get("kind", usual.name)]
    return replace(
        usual,
        name=kind.name,
        bits=kind.bits,
        group=table.get("group_size", usual.group),
        symmetric=table.get("symmetric", usual.symmetric),
        method=table.get("method", usual.method),
    )


def kinds_of(texts: Sequence[str]) -> list[str]:
    """Return the kinds of quantisation that a recipe names."""
    return [table["kind"] for _, table in rules(texts) if "kind" in table]


def _file(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(read_small(path, LARGEST).decode())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else one_line(error)
        raise UsageError(f"expected a recipe in TOML at {path}, found: {reason}") from error


def _object(text: str) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"expected --recipe as a file or as JSON, found {text[:100]!r}: {one_line(error)}") from error
    return found


def _check(table: Any, where: str) -> None:
    """Return if a table says something, and only what a weight can have."""
    if not isinstance(table, dict) or not table or not set(table) <= set(FIELDS):
        found = ", ".join(map(str, table)) or "nothing" if isinstance(table, dict) else repr(table)
        raise UsageError(f"{where}: expected a table of {', '.join(FIELDS)}, found {found}")
    for name, value in table.items():
        choices = {"kind": tuple(INTEGERS), "method": METHODS, KEEP: KEPT}.get(name, ())
        if type(value) is not FIELDS[name] or (choices and value not in choices):
            wanted = f"one of {', '.join(choices)}" if choices else f"a value of type {FIELDS[name].__name__}"
            raise UsageError(f"{where}: expected {wanted} as {name}, found {value!r}")
    if KEEP in table and len(table) > 1:
        raise UsageError(f"{where}: expected {KEEP} alone, found {', '.join(table)}")
    try:
        check_group(table.get("group_size"))
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
