"""What a command reads stays as it is: nothing that it writes takes the place of a file that it was given."""

from collections.abc import Callable
from pathlib import Path

from lwmport import placing
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
            raise UsageError(f"expected --out apart from what is read, found {out}, which is {which}; name another")


def check_new(out: Path) -> None:
    """Return if there is nothing yet at ``out``.

    Raises:
        UsageError: there is something, and writing would destroy it.
    """
    if out.exists() or out.is_symlink():
        raise UsageError(f"expected nothing yet at {out}, found a file; remove it or choose another --out")


def check_free(out: Path, is_ours: Callable[[Path], bool]) -> None:
    """Return if there is nothing at ``out``, or a file of ours, which a new one may replace.

    Raises:
        UsageError: a link, a folder, or a file that is none of ours.
    """
    placing.refuse_link(out)
    if out.exists() and not (out.is_file() and is_ours(out)):
        raise UsageError(
            f"expected nothing at {out}, or what this command wrote before, found something else; move it away or "
            "choose another --out"
        )
