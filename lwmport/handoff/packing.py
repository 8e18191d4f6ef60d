"""Writing a bundle's zip: one pass over every file, in pieces, with memory for one piece."""

import hashlib
import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Final, TypeAlias

from lwmport.errors import PortError
from lwmport.handoff import names
from lwmport.handoff.layout import Entry, directory, local
from lwmport.manifest import FileEntry
from lwmport.types import Progress

PIECE: Final = 1 << 20
Content: TypeAlias = bytes | Path
"""What goes into the zip: bytes, or a file that is read when its turn comes."""


def pack(
    file: IO[bytes],
    contents: Mapping[str, Content],
    last: tuple[str, Callable[[tuple[FileEntry, ...]], bytes]],
    progress: Progress,
) -> tuple[FileEntry, ...]:
    """Write the zip: the contents by name, then a last file that is made of their digests.

    Args:
        file: an empty file that can be read, written and sought.
        contents: bytes or paths by name; order does not matter.
        last: name of the file that vouches for the others, and what makes its content of their entries.
        progress: called after every piece.

    Returns:
        Name, size and SHA-256 of every file, in the order of the zip.

    Raises:
        ArtifactError: a name that no bundle may hold.
        PortError: a file cannot be read, or changed while it was.
    """
    name_of_last, content_of_last = last
    names.check_all([*contents, name_of_last])
    total = sum(_size(content) for content in contents.values())
    writer = _Writer(file, progress, total)
    for name in sorted(contents):
        writer.add(name, contents[name])
    writer.add(name_of_last, content_of_last(tuple(writer.files)))
    file.write(directory(writer.entries))
    return tuple(writer.files)


class _Writer:
    """A zip under way."""

    def __init__(self, file: IO[bytes], progress: Progress, total: int) -> None:
        self.files: list[FileEntry] = []
        self.entries: list[Entry] = []
        self._file = file
        self._progress = progress
        self._total = total
        self._done = 0

    def add(self, name: str, content: Content) -> None:
        """Write one file; its header, which holds the checksum, is written again behind it."""
        size = _size(content)
        entry = Entry(name=name, size=size, crc=0, offset=self._file.tell())
        self._file.write(local(entry))
        try:
            with content.open("rb") if isinstance(content, Path) else io.BytesIO(content) as source:
                crc, sha256 = self._copy(name, source, size)
        except FileNotFoundError as error:
            raise PortError(f"expected the file {content!s}, found none; was it taken away meanwhile?") from error
        entry = replace(entry, crc=crc)
        end = self._file.tell()
        self._file.seek(entry.offset)
        self._file.write(local(entry))
        self._file.seek(end)
        self.entries.append(entry)
        self.files.append(FileEntry(name=name, bytes=size, sha256=sha256))

    def _copy(self, name: str, source: IO[bytes], size: int) -> tuple[int, str]:
        crc, state, copied = 0, hashlib.sha256(), 0
        while piece := source.read(min(PIECE, size - copied)):
            self._file.write(piece)
            crc = zlib.crc32(piece, crc)
            state.update(piece)
            copied += len(piece)
            self._done += len(piece)
            self._progress(name, self._done, self._total)
        if copied != size or source.read(1):
            raise PortError(
                f"expected {size} bytes of {name}, found {'fewer' if copied < size else 'more'}: it changed "
                "while it was packed"
            )
        return crc, state.hexdigest()


def _size(content: Content) -> int:
    if isinstance(content, bytes):
        return len(content)
    try:
        return content.stat().st_size
    except OSError as error:
        raise PortError(f"expected the file {content}, found: {error.strerror}") from error
