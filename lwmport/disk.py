"""Whether a disk has room for what is about to be written: asked before the first byte, not after ten gigabytes."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from lwmport.errors import PortError


def existing(path: Path) -> Path:
    """Return the path, or the nearest one above it that exists."""
    there = path.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    return there


def check_room(path: Path, needed: int) -> int:
    """Return how many bytes are free on the disk that holds ``path``, which need not exist yet.

    Raises:
        PortError: they are fewer than ``needed``.
    """
    free = shutil.disk_usage(existing(path)).free
    if free < needed:
        raise PortError(
            f"expected {needed:,} bytes free for {path}, found {free:,} on its disk; free some or choose another folder"
        )
    return free


@contextlib.contextmanager
def blamed(folder: Path, needed: int, kind: type[Exception] = Exception) -> Iterator[None]:
    """Turn an error of somebody's who writes ``needed`` bytes into a folder into one about the disk, if that is full.

    Runtimes and frameworks say something else then, or something long.

    Raises:
        PortError: fewer than ``needed`` bytes are free after an error of this kind.
    """
    try:
        yield
    except kind as error:
        free = shutil.disk_usage(existing(folder)).free
        if free < needed:
            raise PortError(
                f"cannot write into {folder}: expected {needed:,} bytes free, found {free:,} left on its disk; free "
                "some or choose another folder"
            ) from error
        raise
