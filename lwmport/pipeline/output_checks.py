"""What a command reads stays as it is: nothing that it writes takes the place of a file that it was given."""

import os
from collections.abc import Callable
from pathlib import Path

from lwmport import disk, placing
from lwmport.errors import UsageError


def check_apart(out: Path, *read: Path) -> None:
    """Return if ``out`` is none of the files that are read; of a folder among them, none of those that lie in it.

    A file is known by what it is, however its path is spelled and whatever link leads to it.

    Raises:
        UsageError: it is one of them, and writing would destroy it; nothing was touched.
    """
    if not out.exists():
        return
    for path in read:
        found = next((file for file in (path, *path.rglob("*")) if file.exists() and out.samefile(file)), None)
        if found:
            which = "one of the files" if found == out else str(found)
            raise UsageError(f"expected a new place as --out, found {out}, which is {which}; name another")


def check_writable(folder: Path) -> None:
    """Return if files can be written into a folder that need not exist yet; nothing is written.

    Raises:
        UsageError: something else is in its place or above it, or it belongs to somebody else.
    """
    there = disk.existing(folder)
    if not there.is_dir():
        raise UsageError(f"expected a folder at {there} for the results, found a file; name another --out")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"expected a folder that can be written at {there}, found one that cannot; name another --out")


def check_new(out: Path) -> None:
    """Return if there is nothing yet at ``out``.

    Raises:
        UsageError: there is something, and writing would destroy it.
    """
    if out.exists() or out.is_symlink():
        raise UsageError(f"expected a free place at {out}, found a file; remove it or choose another --out")


def check_free(out: Path, is_ours: Callable[[Path], bool], option: str = "--out") -> None:
    """Return if there is nothing at ``out``, or a file of ours, which a new one may replace.

    Raises:
        UsageError: a link, a folder, or a file that is none of ours.
    """
    placing.refuse_link(out)
    if out.exists() and not (out.is_file() and is_ours(out)):
        raise UsageError(
            f"expected nothing at {out}, or what this command wrote before, found something else; move it away or "
            f"choose another {option}"
        )
