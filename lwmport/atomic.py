"""Files appear whole or not at all: written beside their final name, flushed to disk, then renamed, many at once."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, TypeAlias

from lwmport import placing
from lwmport.errors import PortError, UsageError

PREFIX: Final = placing.PREFIX
UNFINISHED: Final = f"{PREFIX}unfinished"
"""The folder, inside the one that is written, of work that the next run of the same request goes on with."""

WORTH_KEEPING: Final = 1 << 26
"""Bytes from which unfinished work is kept after an interruption; less is done again sooner than it is understood."""

REQUEST: Final = ".request"
"""The file in it that says what was asked for."""

Owned: TypeAlias = Callable[[Path], Collection[str]]
"""Returns the files of a folder that an earlier run wrote, as paths below it, each as that run left it."""


@dataclass
class _Live:
    """What this process has under way: deleted by `abandon`, or kept where another run can go on with it."""

    scratch: Path
    made: list[Path]
    resumable: bool = False
    placing: bool = False


_live: list[_Live] = []


def nothing(_folder: Path) -> Collection[str]:
    """Return no files: nothing that stands in a folder is ours."""
    return ()


@contextlib.contextmanager
def new_file(path: Path, *, over: bool = True) -> Iterator[IO[bytes]]:
    """Yield a binary file that takes the name ``path`` when the block ends well, and vanishes otherwise.

    Raises:
        PortError: the folder cannot be written, or the disk is full.
        UsageError: there is a link at ``path``; or, unless it may be written ``over``, a file with other bytes.
    """
    with os_errors(path), new_name(path, over=over) as temporary, temporary.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def new_name(path: Path, *, over: bool = True) -> Iterator[Path]:
    """Yield an empty file beside ``path`` that is renamed to it when the block ends well, and vanishes otherwise."""
    placing.refuse_link(path)
    if path.is_dir():
        raise UsageError(f"expected a file or nothing at {path}, found a folder; name another file")
    made = _make(path.parent)
    with _at_work_in(path.parent):
        sweep(path.parent)
        handle, name = tempfile.mkstemp(prefix=_prefix(), dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        live = _Live(temporary, made)
        _live.append(live)
        done = False
        try:
            yield temporary
            if not over:
                placing.check_way(path.parent, [path.name], (), temporary)
            temporary.chmod(0o666 & ~_umask())
            live.placing = True
            temporary.replace(path)
            done = True
        finally:
            temporary.unlink(missing_ok=True)
            _live.remove(live)
            if not done:
                _unmake(made)


@contextlib.contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """Yield a folder for passing work in the one that ``beside`` is or will be in; it is gone when the block ends."""
    with os_errors(beside):
        made = _make(beside.parent)
        sweep(beside.parent)
        live = _Live(Path(tempfile.mkdtemp(prefix=_prefix(), dir=beside.parent)), made)
        _live.append(live)
        try:
            yield live.scratch
        finally:
            shutil.rmtree(live.scratch, ignore_errors=True)
            _live.remove(live)
            _unmake(made)


@contextlib.contextmanager
def new_folder(
    final: Path,
    *,
    last: str = "",
    owned: Owned = nothing,
    request: str = "",
    fresh: bool = False,
    others: bool = True,
) -> Iterator[Path]:
    """Yield a scratch folder inside ``final``; when the block ends well its entries move up into it, as a set.

    The files that ``owned`` returns are the earlier set, which this one takes the place of: what has no successor is
    deleted. Nothing else in ``final`` is touched, and what else is in the way of an entry is refused. Hidden entries do
    not move. `lwmport.placing` says how the two sets change places: at once, wherever the system can. Where it cannot,
    the entry named ``last`` (the manifest that vouches for the others) goes first and comes last, so that a reader who
    finds it finds all of what it describes. ``others`` says that the folder is for this set, whatever the user has put
    beside it; of any other folder nothing but the files of the set is moved.

    If the block fails, nothing in ``final`` has changed, and a folder that did not exist before is gone again.

    The scratch folder is empty, unless a ``request`` is given, a text that decides every byte: then it is `UNFINISHED`,
    and what a run with the same request has left there when it was killed is still in it, and so is what was done when
    it was interrupted or the disk was full, if that was much. What was left by another request is deleted, and with
    ``fresh`` what was left by this one too.

    Raises:
        PortError: the folder cannot be written, the disk is full, or another process is at work on the same request.
        UsageError: a file of the user's is in the way, or a link in the place of what is ours.
    """
    final = real_folder(final, owned)
    with os_errors(final), contextlib.ExitStack() as claim:
        made, kept = _make(final), False
        live = _Live(final, made, resumable=bool(request))
        claim.callback(_unmake, made)
        alone = claim.enter_context(_at_work_in(final))
        sweep(final)
        sweep(final.parent, strict=False)
        if request:
            live.scratch = claim.enter_context(_claimed(final / UNFINISHED, request, fresh=fresh))
        else:
            live.scratch = Path(tempfile.mkdtemp(prefix=_prefix(), dir=final))
        _live.append(live)
        try:
            yield live.scratch
            live.placing = True
            placing.place(live.scratch, final, last, owned, alone=alone(), others=others)
            made.clear()
        except BaseException as error:
            kept = bool(request)  # should a second request to end come before it is known
            kept = kept and _is_resumable(live.scratch, error)
            if kept and isinstance(error, PortError):
                raise PortError(
                    f"{error}; what is done is kept in {live.scratch} for the next run of the same"
                ) from error
            raise
        finally:
            if not kept:
                shutil.rmtree(live.scratch, ignore_errors=True)
            _live.remove(live)


def real_folder(final: Path, owned: Owned = nothing) -> Path:
    """Return where a folder for results really is.

    A link to a folder is followed once, now; not if it leads to an earlier set, which would be deleted there.

    Raises:
        UsageError: there is no folder at the end of the link, a file is there, or the folder holds an earlier set.
    """
    if not final.is_symlink():
        if os.path.lexists(final) and not final.is_dir():
            raise UsageError(f"expected a folder or nothing at {final}, found a file; name another folder")
        return Path(os.path.realpath(final))
    real = Path(os.path.realpath(final))
    if not real.is_dir():
        placing.refuse_link(final)
    if owned(real):
        raise UsageError(
            f"expected a folder at {final}, found a link to {real}, which holds files of an earlier run; name {real}"
        )
    return real


def abandon() -> list[Path]:
    """Delete what this process has under way, from whatever thread; return the folders that another run can go on with.

    For a process that ends without unwinding: nothing of it runs afterwards.
    """
    kept = []
    for live in _live:
        if live.resumable and _is_resumable(live.scratch, KeyboardInterrupt()):
            kept.append(live.scratch)
        elif live.scratch.is_dir():
            for _ in range(3):  # other threads may still be writing
                shutil.rmtree(live.scratch, ignore_errors=True)
        else:
            live.scratch.unlink(missing_ok=True)
        _unmake(live.made)
    return kept


def is_placing() -> bool:
    """Return whether files take their final names just now."""
    return any(live.placing for live in _live)


def sweep(folder: Path, *, strict: bool = True) -> None:
    """Delete what an interrupted run of this program left in ``folder``; work of a living process stays.

    Raises:
        UsageError: a link has the name of such work; without ``strict``, and for what is another user's, it stays.
    """
    for entry in folder.glob(f"{PREFIX}*"):
        owner = entry.name.removeprefix(PREFIX).partition("-")[0]
        if not owner.isdigit():
            continue
        if entry.is_symlink():
            if strict:
                placing.refuse_link(entry)
            continue
        if Path("/proc/self").exists() and not Path(f"/proc/{owner}").exists():
            with contextlib.suppress(PermissionError, FileNotFoundError):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink(missing_ok=True)


@contextlib.contextmanager
def _at_work_in(folder: Path) -> Iterator[Callable[[], bool]]:
    """Hold a folder against being exchanged by another process; yield what tells whether nobody else holds it."""
    if any(part.startswith(PREFIX) for part in folder.absolute().parts):
        yield lambda: True  # scratch work is its owner's
        return
    handle = _held(folder)

    def alone() -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.path.samestat(os.fstat(handle), folder.stat())
        except OSError:
            with contextlib.suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_SH)
            return False

    try:
        yield alone
    finally:
        os.close(handle)


def _held(folder: Path) -> int:
    """Return the open folder, locked together with others; once more if it was exchanged meanwhile."""
    while True:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_SH)
        try:
            if os.path.samestat(os.fstat(handle), folder.stat()):
                return handle
        except FileNotFoundError:
            folder.mkdir(parents=True, exist_ok=True)
        os.close(handle)


@contextlib.contextmanager
def _claimed(scratch: Path, request: str, *, fresh: bool) -> Iterator[Path]:
    """Yield the folder, held against other processes, with nothing in it that belongs to another request."""
    placing.refuse_link(scratch)
    if os.path.lexists(scratch) and not scratch.is_dir():
        raise UsageError(f"expected a folder or nothing at {scratch}, found a file; remove it")
    scratch.mkdir(exist_ok=True)
    handle = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if not _is_mine(handle, scratch):
            raise PortError(
                f"expected to be alone at work in {scratch.parent}, found another process; wait for it or choose "
                f"another folder"
            )
        _ready(scratch, request, fresh=fresh)
        yield scratch
    finally:
        os.close(handle)


def _ready(scratch: Path, request: str, *, fresh: bool) -> None:
    """Empty the folder and note the request, unless it is noted there already."""
    for name in list(placing.walk(scratch)):
        if (scratch / name).is_symlink():
            (scratch / name).unlink()
    note = scratch / REQUEST
    if not fresh and note.is_file() and note.read_text(encoding="utf-8") == request:
        return
    for entry in scratch.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    try:
        note.write_text(request, encoding="utf-8")
    except OSError:
        shutil.rmtree(scratch, ignore_errors=True)  # it would say nothing to the next run
        raise


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


def _make(folder: Path) -> list[Path]:
    """Make a folder and those above it; return those that were not there, the deepest first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _unmake(folders: list[Path]) -> None:
    """Remove folders that were made for what did not come about, if they are empty."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
