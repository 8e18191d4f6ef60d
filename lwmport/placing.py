"""A finished set of files takes the place of an earlier one, by one system call wherever the system has one.

The set lies in a scratch folder. Files that stand beside the earlier set and are none of ours are linked into it, and
then the two folders change names (``renameat2`` with ``RENAME_EXCHANGE``, renameat2(2); a plain ``rename`` where
nothing stands there yet). What has its final name is then the old set or the new one, whenever the process is killed.

Some systems and places have no such call: a network disk, a mount point, the folder that a shell stands in, a folder
with much of the user's in it. There the file that vouches for the others goes first and comes last, and `PLACING` says
meanwhile which files are ours, so that the next run is not refused by what a killed one has left.
"""

import ctypes
import errno
import filecmp
import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from lwmport.errors import UsageError

PREFIX: Final = ".lwmport-"
"""Unfinished work carries this prefix; whatever still has it was interrupted and can be deleted."""

PLACING: Final = f"{PREFIX}placing"
"""The file that names what is ours while files are moved one by one."""

MOST_CARRIED: Final = 256
"""Entries of the user's up to which a folder is exchanged."""

MOST_NOTED: Final = 16 << 20
"""Bytes that `PLACING` may have."""

AT_FDCWD: Final = -100
RENAME_EXCHANGE: Final = 2
"""Constants of Linux: include/uapi/linux/fcntl.h and fs.h."""

State = tuple[int, int]
"""Size of a file, and time of its last change in nanoseconds."""


def refuse_link(path: Path) -> None:
    """Return if there is no link at a path that is ours: what it leads to is not.

    Raises:
        UsageError: there is one.
    """
    if path.is_symlink():
        raise UsageError(
            f"expected a file or a folder at {path}, found a link to {path.readlink()}; remove the link or choose "
            f"another --out"
        )


def check_inside(where: Path, name: str) -> None:
    """Return if a name out of a record means a place below the record's folder.

    Raises:
        UsageError: it leads out of it.
    """
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\0" in name:
        raise UsageError(f"{where}: expected file names inside the folder, found {name!r}")


def noted(final: Path) -> set[str]:
    """Return the files of a folder that a run, killed while it moved them there, has noted as ours, untouched since."""
    path = final / PLACING
    refuse_link(path)
    try:
        with path.open("rb") as file:
            told = json.loads(file.read(MOST_NOTED))
        files: dict[str, Any] = {str(name): value for name, value in told["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return set()
    for name in files:
        check_inside(path, name)
    return {name for name, value in files.items() if list(state(final / name) or ()) in value}


def check_way(final: Path, names: Collection[str], owned: Collection[str], new: Path | None = None) -> None:
    """Return if nothing is in the way of some files in a folder but ``owned`` ones.

    A file that is the same as the new one, which is ``new`` or below it, is not in the way. In a folder that is part of
    the set (pictures, a SavedModel) every other file is, for its reader would take it for a part.

    Raises:
        UsageError: something is; nothing was touched.
    """
    for name in names:
        *above, _ = parts = PurePosixPath(name).parts
        for depth in range(1, len(above) + 1):
            place = final.joinpath(*parts[:depth])
            refuse_link(place)
            if place.exists() and not place.is_dir() and "/".join(parts[:depth]) not in owned:
                raise _in_the_way(final, "/".join(parts[:depth]))
        place = final / name
        refuse_link(place)
        if place.exists() and name not in owned and not _is_same(place, new / name if new and new.is_dir() else new):
            raise _in_the_way(final, name)
    for top in sorted({PurePosixPath(name).parts[0] for name in names if "/" in name}):
        for found in walk(final, final / top):
            if found not in names and found not in owned and not (final / found).is_dir():
                raise _in_the_way(final, found)


def place(
    scratch: Path, final: Path, last: str, owned: Callable[[Path], Collection[str]], *, alone: bool, others: bool
) -> None:
    """Move what is not hidden in ``scratch``, a folder inside of ``final``, into ``final``.

    Args:
        scratch: the new set; it is gone afterwards, or what is left of it is of no use.
        final: where the earlier set is.
        last: the file that vouches for the others.
        owned: returns the files of the earlier set; those that have no successor are deleted.
        alone: whether nobody else is at work in ``final``.
        others: whether the folder may be exchanged where it holds files of the user's.

    Raises:
        UsageError: something of the user's is in the way; nothing was touched.
    """
    names = [name for name in walk(scratch) if not name.startswith(".")]
    files = [name for name in names if not (scratch / name).is_dir()]
    old = {*owned(final), *noted(final)}
    check_way(final, files, old, scratch)
    if not (alone and _exchange(scratch, final, files, old, others=others)):
        _move(scratch, final, sorted(set(names) - set(files)), files, last, old)


def walk(root: Path, start: Path | None = None) -> Iterator[str]:
    """Yield everything below a folder as paths below ``root``, folders before what is in them; no link is followed."""
    try:
        entries = sorted(os.scandir(start or root), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        yield Path(entry.path).relative_to(root).as_posix()
        if entry.is_dir(follow_symlinks=False):
            yield from walk(root, Path(entry.path))


def clear(folder: Path, names: Iterable[str]) -> None:
    """Delete some files of a folder, and folders inside of it that nothing is left in; nothing else, and no links."""
    above: set[Path] = set()
    for name in names:
        path = folder / name
        if all(not parent.is_symlink() for parent in path.parents if folder in parent.parents):
            path.unlink(missing_ok=True)
            above.update(parent for parent in path.parents if folder in parent.parents)
    for path in sorted(above, key=lambda path: -len(path.parts)):
        rmdir(path)


def _move(scratch: Path, final: Path, folders: list[str], files: list[str], last: str, old: set[str]) -> None:
    """Move file by file: what vouches for the others goes first and comes last."""
    ours = {name: [state(folder / name) for folder in (final, scratch)] for name in {*old, *files}}
    note = final / PLACING
    note.unlink(missing_ok=True)
    _write_new(note, json.dumps({"files": ours}).encode())
    if last in old:
        (final / last).unlink(missing_ok=True)
    clear(final, old - set(files))
    for name in folders:
        (final / name).mkdir(exist_ok=True)
    for name in sorted(files, key=lambda name: (name == last, name)):
        (scratch / name).replace(final / name)
    note.unlink(missing_ok=True)  # another process may have placed files here meanwhile


def _exchange(scratch: Path, final: Path, files: list[str], old: set[str], *, others: bool) -> bool:
    """Let the two folders change names, and delete the old one; if that cannot be, change nothing and return False."""
    carried = _carried(scratch, final, files, old)
    if carried is None or (carried and not others) or not _is_exchangeable(final):
        return False
    beside = final.parent / f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    linked: list[str] = []
    try:
        for name in carried:
            _carry(final / name, scratch / name)
            linked.append(name)
        scratch.chmod(stat.S_IMODE(final.stat().st_mode))
        for entry in list(scratch.iterdir()):
            if entry.name.startswith(".") and entry.name not in carried:
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        scratch.rename(beside)
    except OSError:
        _uncarry(scratch, linked)
        return False
    try:
        _swap(beside, final)
    except OSError:
        beside.rename(scratch)
        _uncarry(scratch, linked)
        return False
    _retire(beside, final, {*old, *carried})
    return True


def _carried(scratch: Path, final: Path, files: list[str], old: set[str]) -> list[str] | None:
    """Return what is the user's in a folder, folders before what is in them; None if it is too much to carry."""
    ours = {*old, *files, PLACING}
    kept = {parent.as_posix() for name in ours for parent in PurePosixPath(name).parents}
    found: list[str] = []
    for entry in sorted(os.scandir(final), key=lambda entry: entry.name):
        if Path(entry.path) == scratch or entry.name == PLACING:
            continue
        if entry.name.startswith(PREFIX):
            return None
        below = walk(final, Path(entry.path)) if entry.is_dir(follow_symlinks=False) else iter(())
        for name in (entry.name, *below):
            if PurePosixPath(name).name.startswith(PREFIX):
                return None  # somebody is at work there
            if name not in ours and name not in kept:
                found.append(name)
            if len(found) > MOST_CARRIED:
                return None
    return found


def _carry(source: Path, target: Path) -> None:
    """Give a file of the user's a second name; a folder becomes one of the same kind."""
    if source.is_dir() and not source.is_symlink():
        target.mkdir()
        shutil.copystat(source, target)
    else:
        os.link(source, target, follow_symlinks=False)


def _uncarry(scratch: Path, names: list[str]) -> None:
    for name in reversed(names):
        path = scratch / name
        rmdir(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _is_exchangeable(final: Path) -> bool:
    """Return whether a folder may be another one from now on: it is no mount, nobody's but ours, and not stood in."""
    status, above = final.stat(), final.parent.stat()
    try:
        here = Path.cwd()
    except FileNotFoundError:
        here = Path("/")
    return (
        status.st_dev == above.st_dev
        and status.st_ino != above.st_ino
        and status.st_uid == os.geteuid()
        and here != final
        and final not in here.parents
    )


def _swap(new: Path, final: Path) -> None:
    """Let two folders change names; where the final one is empty, the new one takes its place."""
    try:
        new.rename(final)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
    else:
        return
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if call(AT_FDCWD, os.fsencode(new), AT_FDCWD, os.fsencode(final), ctypes.c_uint(RENAME_EXCHANGE)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _retire(old: Path, final: Path, known: set[str]) -> None:
    """Delete the folder that was exchanged; what somebody put there in the last moment goes on to the new one."""
    for name in list(walk(old)):
        path, target = old / name, final / name
        if name in known or name == PLACING or path.is_dir() or path.is_symlink() or os.path.lexists(target):
            continue
        if target.parent.is_dir():
            path.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def state(path: Path) -> State | None:
    """Return size and time of a file; None where there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def _is_same(path: Path, other: Path | None) -> bool:
    """Return whether two regular files hold the same bytes."""
    if other is None or not path.is_file() or not other.is_file():
        return False
    return path.stat().st_size == other.stat().st_size and filecmp.cmp(path, other, shallow=False)


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet, and flush it to disk."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        with os.fdopen(handle, "wb", closefd=False) as file:
            file.write(content)
        os.fsync(handle)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def rmdir(path: Path) -> None:
    """Remove a folder, if nothing is in it."""
    try:
        path.rmdir()
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR}:
            raise


def _in_the_way(final: Path, name: str) -> UsageError:
    return UsageError(
        f"expected nothing in the way in {final}, found {name}, which is not a file of an earlier run as that run left "
        f"it; move it away or choose another --out"
    )
