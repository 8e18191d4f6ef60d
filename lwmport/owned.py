"""Which files of a folder are ours: those that a record of an earlier run lists, as that run left them.

A record is JSON of ours that lists files with their SHA-256. A file that was changed since is the user's, and so is a
file that no record lists. A record is input from outside: names in it stay in its folder, and no link is followed.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from lwmport import digest, placing

LIMIT: Final = 64 << 20
"""Bytes that a record may have; a larger file is none of ours."""

Reader = Callable[[Path], Mapping[str, str] | None]
"""Returns the files that a record of a folder lists, and their SHA-256, the record itself with an empty one; None where
there is no such record."""


class Earlier:
    """The files of an earlier run, by its records (`lwmport.atomic.Owned`); the digest of each is taken once."""

    def __init__(self, *readers: Reader) -> None:
        self._readers = readers
        self._known: dict[Path, dict[str, placing.State]] = {}

    def __call__(self, folder: Path) -> Collection[str]:
        """Return the files of the folder that are as the records list them."""
        if folder not in self._known:
            listed = [reader(folder) or {} for reader in self._readers]
            names = {name: sha256 for found in listed for name, sha256 in found.items()}
            self._known[folder] = dict(_untouched(folder, names))
        known = self._known[folder]
        return {name for name, state in known.items() if placing.state(folder / name) == state}


def json_record(path: Path) -> dict[str, Any] | None:
    """Return the JSON object that a regular file holds; None for anything else.

    Raises:
        UsageError: there is a link.
    """
    placing.refuse_link(path)
    try:
        if not path.is_file() or path.stat().st_size > LIMIT:
            return None
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def listed(path: Path, form: str) -> Reader:
    """Return the reader of a record ``{"format": form, "files": {NAME: SHA-256}}`` of this file name."""

    def read(folder: Path) -> Mapping[str, str] | None:
        found = json_record(folder / path)
        files = found.get("files", {}) if found and found.get("format") == form else None
        if not isinstance(files, dict) or not all(isinstance(value, str) for value in files.values()):
            return None
        return {**files, path.as_posix(): ""}

    return read


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder that is not hidden."""
    names = (name for name in placing.walk(folder) if not name.startswith("."))
    return {name: digest.of_file(folder / name) for name in names if (folder / name).is_file()}


def _untouched(folder: Path, names: Mapping[str, str]) -> Iterable[tuple[str, placing.State]]:
    for name, sha256 in names.items():
        placing.check_inside(folder, name)
        state = placing.state(folder / name)
        above = any(parent.is_symlink() for parent in (folder / name).parents if folder in parent.parents)
        if state is None or above or (sha256 and digest.of_file(folder / name) != sha256):
            continue
        yield name, state
