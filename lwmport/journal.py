"""Large files that an interrupted run leaves half-done, and what is known to be right about them.

A folder with a file `lwmport.atomic.REQUEST` in it is kept after an interruption (`lwmport.atomic.new_folder`). There,
for each file in or below it that `new_stream` writes, lies a journal ``.NAME.journal``: lines of JSON, the first with
the digest of what the file is to hold, each further one with the length of a front of the file that is done and that
front's SHA-256. The next run reads the front again, which yields the state of the hash as well, and goes on behind the
last line that holds. Files in a hidden folder have no journal: that is scratch work, which no other run goes on with.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lwmport import atomic, digest
from lwmport.blocks import BlockFile

FORMAT: Final = "lwmport-journal/1"
PIECE: Final = 1 << 22
"""Bytes read at once when a file is checked."""


@contextlib.contextmanager
def new_stream(path: Path, layout: Any) -> Iterator[BlockFile]:
    """Yield a file that takes the name ``path`` when the block ends well, as `lwmport.atomic.new_file` does.

    In a folder that is kept after an interruption, what an earlier run has done of it is kept and need not be written
    again (`BlockFile.skips`); ``layout`` is JSON that says what lies where in the file, and has to be the same.

    Raises:
        PortError: the file cannot be written, or the disk is full.
    """
    with atomic.os_errors(path):
        if kept_in := _kept_folder(path):
            journal = Journal(path, kept_in, digest.of_json(layout))
            hashed, kept = journal.resume()
            with BlockFile(path, kept, hashed, journal.add) as file:
                yield file
            return
        with atomic.new_name(path) as temporary, BlockFile(temporary) as file:
            yield file


class Journal:
    """The journal of one file in or below ``folder``; ``layout`` is the digest of what the file is to hold."""

    def __init__(self, path: Path, folder: Path, layout: str) -> None:
        self.path = path
        self._lines = folder / f".{'+'.join(path.relative_to(folder).parts)}.journal"
        self._head = json.dumps({"format": FORMAT, "layout": layout})

    def resume(self) -> tuple[Any, int]:
        """Return the SHA-256 state over the front of the file that is done, and its length; forget all that is not."""
        known = self._known()
        hashed, kept = _checked(self.path, known)
        good = [json.dumps({"end": end, "sha256": sha256}) for end, sha256 in known if end <= kept]
        self._lines.write_text("".join(f"{line}\n" for line in (self._head, *good)), encoding="utf-8")
        return hashed, kept

    def add(self, end: int, sha256: str) -> None:
        """Note that the first ``end`` bytes are stored."""
        with self._lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"end": end, "sha256": sha256}) + "\n")

    def _known(self) -> list[tuple[int, str]]:
        """Return what the lines say; none of them if the first is of another file, and none behind a broken one."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            head, *lines = self._lines.read_text(encoding="utf-8").splitlines()
            if head == self._head:
                return list(_records(lines))
        return []


def _kept_folder(path: Path) -> Path | None:
    """Return the folder that holds the file and is kept after an interruption: its own or the one above.

    The one above keeps nothing of a hidden folder.
    """
    own, above = path.parent, path.parent.parent
    if (own / atomic.REQUEST).is_file():
        return own
    return above if not own.name.startswith(".") and (above / atomic.REQUEST).is_file() else None


def done_bytes(folder: Path) -> int:
    """Return how many bytes the journals of a folder say are done."""
    return sum(_last(path) for path in folder.glob(".*.journal"))


def _last(path: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return max((end for end, _ in _records(path.read_text(encoding="utf-8").splitlines()[1:])), default=0)
    return 0


def _records(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Yield (end, digest) of every line up to the first that a sudden end cut off."""
    for line in lines:
        try:
            record = json.loads(line)
            yield int(record["end"]), str(record["sha256"])
        except (ValueError, KeyError, TypeError):
            return


def _checked(path: Path, known: list[tuple[int, str]]) -> tuple[Any, int]:
    hashed, kept = hashlib.sha256(), 0
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        found, position = hashed.copy(), 0
        for end, sha256 in known:
            position += _feed(file, found, end - position)
            if position != end or found.hexdigest() != sha256:
                break
            hashed, kept = found.copy(), end
    return hashed, kept


def _feed(file: Any, hashed: Any, count: int) -> int:
    """Hash the next ``count`` bytes of a file and return how many there were."""
    done = 0
    while done < count and (piece := file.read(min(PIECE, count - done))):
        hashed.update(piece)
        done += len(piece)
    return done
