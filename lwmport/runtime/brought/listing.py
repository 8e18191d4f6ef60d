"""The files of a folder that somebody else filled: regular ones inside of it alone, and not more than a tool writes."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lwmport.errors import ArtifactError
from lwmport.small_files import read_small
from lwmport.wording import few, shown

MOST_FILES: Final = 200_000
"""A dump of every input and output of a model of 20,000 nodes has fewer."""

DEPTH: Final = 12
"""Folders within folders: a dump of a device lies seven below the folder that was asked for."""

TEXT: Final = 64 << 20
"""Bytes of a table, an index or a listing that is read at once."""


@dataclass(frozen=True, kw_only=True)
class File:
    """A regular file: its path, its name below the folder with ``/`` between the parts, its bytes."""

    path: Path
    name: str
    bytes: int

    @property
    def last(self) -> str:
        """The last part of its name."""
        return self.name.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """Its name without the last part; empty for what lies in the folder itself."""
        return self.name.rpartition("/")[0]

    @property
    def told(self) -> str:
        """Its name, fit for a message."""
        return shown(self.name)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The files of a folder in the order of their names, or one file ``alone``; ``root`` is the folder."""

    root: Path
    files: tuple[File, ...]
    links: tuple[str, ...] = ()
    alone: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not followed, as a sentence."""
        return (f"links and what is no file are left aside: {few(map(shown, self.links))}",) if self.links else ()


def listed(path: Path) -> Listing:
    """Return the files of a folder, or a file by itself. No link in the folder is followed.

    Raises:
        ArtifactError: there is nothing, or more than any tool writes.
    """
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            file = File(path=path, name=path.name, bytes=status.st_size)
            return Listing(root=path.parent, files=(file,), alone=True)
        if not stat.S_ISDIR(status.st_mode):
            raise ArtifactError(f"expected a folder or a file of a device's outputs, found neither at {path}")
        links: list[str] = []
        files = []
        for file in _walk(path, "", links, DEPTH):
            files.append(file)
            if len(files) > MOST_FILES:
                raise ArtifactError(f"{path}: expected at most {MOST_FILES:,} files, found more; name a folder below")
    except OSError as error:
        raise ArtifactError(f"expected a device's outputs at {path}, found: {error.strerror or error}") from error
    return Listing(root=path, files=tuple(sorted(files, key=lambda file: file.name)), links=tuple(sorted(links)))


def _walk(folder: Path, above: str, links: list[str], left: int) -> Iterator[File]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{above}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if not left:
                    raise ArtifactError(f"{folder}: expected at most {DEPTH} folders in each other, found more")
                yield from _walk(Path(entry.path), f"{name}/", links, left - 1)
            elif entry.is_file(follow_symlinks=False):
                yield File(path=Path(entry.path), name=name, bytes=entry.stat(follow_symlinks=False).st_size)
            else:
                links.append(name)


def text_of(file: File) -> str:
    """Return a whole text, with marks for what is none.

    Raises:
        ArtifactError: it cannot be read, or has more than `TEXT` bytes.
    """
    try:
        return read_small(file.path, TEXT).decode("utf-8-sig", "replace")
    except OSError as error:
        raise ArtifactError(f"{file.told}: expected a text, found: {error.strerror or error}") from error


def front_of(file: File, size: int) -> bytes:
    """Return the first bytes of a file, at most ``size``.

    Raises:
        ArtifactError: it cannot be read.
    """
    try:
        with file.path.open("rb") as stream:
            return stream.read(size)
    except OSError as error:
        raise ArtifactError(f"{file.told}: expected a file, found: {error.strerror or error}") from error
