"""Whether a disk has room for what is about to be written: asked before the first byte, not after ten gigabytes."""

import shutil
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
