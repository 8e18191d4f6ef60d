"""Whether a disk has room for what is about to be written: asked before the first byte, not after ten gigabytes."""

import shutil
from pathlib import Path

from lwmport.errors import CheckpointError


def check_space(path: Path, needed: int) -> None:
    """Return if the disk that holds ``path``, which need not exist yet, has ``needed`` bytes free.

    Raises:
        CheckpointError: it has not.
    """
    there = path.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < needed:
        raise CheckpointError(
            f"expected {needed:,} bytes free for {path}, found {free:,} on its disk; free some or write elsewhere",
        )
