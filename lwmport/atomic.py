"""Files appear whole or not at all: written beside their final name, flushed to disk, then renamed."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

from lwmport.errors import PortError

PREFIX = ".lwmport-"
"""Unfinished work carries this prefix; whatever still has it was interrupted and can be deleted."""

UNFINISHED: Final = f"{PREFIX}unfinished"
"""The folder, inside the one that is written, of work that the next run of the same request goes on with."""

WORTH_KEEPING: Final = 1 << 26
"""Bytes from which unfinished work is kept after an interruption; less is done again sooner than it is understood."""

REQUEST: Final = ".request"
"""The file in it that says what was asked for."""


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a binary file that takes the name ``path`` when the block ends well, and vanishes otherwise.

    Raises:
        PortError: the folder cannot be written, or the disk is full.
    """
    with os_errors(path), new_name(path) as temporary, temporary.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def new_name(path: Path) -> Iterator[Path]:
    """Yield an empty file beside ``path`` that is renamed to it when the block ends well, and vanishes otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    handle, name = tempfile.mkstemp(prefix=_prefix(), dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(
    final: Path, *, last: str = "", stale: Iterable[str] = (), request: str = "", fresh: bool = False
) -> Iterator[Path]:
    """Yield a scratch folder inside ``final``; when the block ends well its entries move up into it.

    Each entry replaces the one of its name in ``final`` by a rename; hidden ones do not move. The entry named ``last``
    (the manifest that vouches for the others) is taken away first and put in place last, so that a reader who finds it
    finds all of what it describes. Entries of ``final`` that are ``stale``, for they are about those that are replaced,
    go next, whether new ones take their place or not. If the block fails, nothing in ``final`` has changed, and a
    folder that did not exist before is gone again.

    The scratch folder is empty, unless a ``request`` is given, a text that decides every byte: then it is `UNFINISHED`,
    and what a run with the same request has left there when it was killed is still in it, and so is what was done when
    it was interrupted or the disk was full, if that was much. What was left by another request is deleted, and with
    ``fresh`` what was left by this one too.

    Raises:
        PortError: the folder cannot be written, the disk is full, or another process is at work on the same request.
    """
    with os_errors(final), contextlib.ExitStack() as claim:
        existed, kept = final.exists(), False
        final.mkdir(parents=True, exist_ok=True)
        sweep(final)
        if request:
            scratch = claim.enter_context(_claimed(final / UNFINISHED, request, fresh=fresh))
        else:
            scratch = Path(tempfile.mkdtemp(prefix=_prefix(), dir=final))
        try:
            yield scratch
            existed = True
            _move_up(scratch, final, last, stale)
        except BaseException as error:
            kept = bool(request)  # should a second request to end come before it is known
            kept = kept and _is_resumable(scratch, error)
            if kept and isinstance(error, PortError):
                raise PortError(f"{error}; what is done is kept in {scratch} for the next run of the same") from error
            raise
        finally:
            if not kept:
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
def _claimed(scratch: Path, request: str, *, fresh: bool) -> Iterator[Path]:
    """Yield the folder, held against other processes, with nothing in it that belongs to another request."""
    scratch.mkdir(exist_ok=True)
    handle = os.open(scratch, os.O_RDONLY)
    try:
        if not _is_mine(handle, scratch):
            raise PortError(
                f"expected to be alone at work in {scratch.parent}, found another process; wait for it or choose "
                f"another folder"
            )
        note = scratch / REQUEST
        if fresh or not note.is_file() or note.read_text(encoding="utf-8") != request:
            for entry in scratch.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            note.write_text(request, encoding="utf-8")
        yield scratch
    finally:
        os.close(handle)


def _is_mine(handle: int, folder: Path) -> bool:
    """Lock an open folder until it is closed, and return whether that went well and it is still ``folder``."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(handle), folder.stat())
    except OSError:
        return False


def _is_resumable(scratch: Path, error: BaseException) -> bool:
    """Return whether the next run should go on: much is done, and what ended this one is no fault of the work."""
    from_outside = isinstance(error, (MemoryError, OSError)) or isinstance(error.__cause__, OSError)
    from_outside = from_outside or is_interruption(error)
    done = sum(path.stat().st_size for path in scratch.rglob("*") if path.is_file())
    return from_outside and any(scratch.glob(".*.journal")) and done >= WORTH_KEEPING


def is_interruption(error: BaseException) -> bool:
    """Return whether a request to end is behind an error: a lock that is waited for turns it into one of its own."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, KeyboardInterrupt):
        found = found.__cause__ or found.__context__
    return found is not None


def _move_up(scratch: Path, final: Path, last: str, stale: Iterable[str]) -> None:
    """Move what is not hidden into ``final``, the entry ``last`` after all others, in place of what is ``stale``."""
    visible = (entry for entry in scratch.iterdir() if not entry.name.startswith("."))
    entries = sorted(visible, key=lambda entry: (entry.name == last, entry.name))
    if last and entries and entries[-1].name == last:
        (final / last).unlink(missing_ok=True)
    for name in stale:
        _remove(final / name)
    for entry in entries:
        _replace(entry, final / entry.name)


@contextlib.contextmanager
def os_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` inside the block into a one-line `PortError` about ``path``."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or f"{error}; is the disk full?"  # numpy counts what it wrote, and asks no further
        raise PortError(f"cannot write {path}: {reason}") from error


def _prefix() -> str:
    return f"{PREFIX}{os.getpid()}-"


def _replace(source: Path, target: Path) -> None:
    """Move ``source`` over ``target``; a folder there is removed first, for no system replaces a full one."""
    if target.is_dir() and not target.is_symlink():
        _remove(target)
    source.replace(target)


def _remove(path: Path) -> None:
    """Delete a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
