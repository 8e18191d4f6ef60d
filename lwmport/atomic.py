"""Files appear whole or not at all: written beside their final name, flushed to disk, then renamed."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lwmport.errors import PortError

PREFIX = ".lwmport-"
"""Unfinished work carries this prefix; whatever still has it was interrupted and can be deleted."""


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a binary file that takes the name ``path`` when the block ends well, and vanishes otherwise.

    Raises:
        PortError: the folder cannot be written, or the disk is full.
    """
    with os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        handle, name = tempfile.mkstemp(prefix=_prefix(), dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(final: Path, *, last: str = "") -> Iterator[Path]:
    """Yield an empty scratch folder inside ``final``; when the block ends well its entries move up into it.

    Each entry replaces the one of its name in ``final`` by a rename. The entry named ``last`` (the manifest that
    vouches for the others) is taken away first and put in place last, so that a reader who finds it finds all of
    what it describes. If the block fails, nothing in ``final`` has changed, and a folder that did not exist before
    is gone again.

    Raises:
        PortError: the folder cannot be written, or the disk is full.
    """
    with os_errors(final):
        existed = final.exists()
        final.mkdir(parents=True, exist_ok=True)
        sweep(final)
        scratch = Path(tempfile.mkdtemp(prefix=_prefix(), dir=final))
        try:
            yield scratch
            existed = True
            entries = sorted(scratch.iterdir(), key=lambda entry: (entry.name == last, entry.name))
            if last and entries and entries[-1].name == last:
                (final / last).unlink(missing_ok=True)
            for entry in entries:
                _replace(entry, final / entry.name)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            if not existed:
                with contextlib.suppress(OSError):
                    final.rmdir()


def sweep(folder: Path) -> None:
    """Delete what an interrupted run of this program left in ``folder``; work of a living process stays."""
    for entry in folder.glob(f"{PREFIX}*"):
        owner = entry.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists() and Path("/proc/self").exists():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink(missing_ok=True)


@contextlib.contextmanager
def os_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` inside the block into a one-line `PortError` about ``path``."""
    try:
        yield
    except OSError as error:
        raise PortError(f"cannot write {path}: {error.strerror or error}") from error


def _prefix() -> str:
    return f"{PREFIX}{os.getpid()}-"


def _replace(source: Path, target: Path) -> None:
    """Move ``source`` over ``target``; a folder there is removed first, for no system replaces a full one."""
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    source.replace(target)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
