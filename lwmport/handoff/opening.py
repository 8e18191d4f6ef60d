"""Reading a bundle's zip, strictly: whatever is not written as `lwmport.handoff.packing` writes it is refused or told.

A zip that could do harm (a way out of the folder, a link, two names for one file, a bomb) is an error; one whose bytes
were changed is a result, with the names of the files.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from lwmport.errors import ArtifactError
from lwmport.handoff import layout, names
from lwmport.handoff.layout import Entry
from lwmport.instead import in_place_of
from lwmport.small_files import open_regular

PIECE: Final = 1 << 20
MOST_ENTRIES: Final = 100_000
LARGEST_DIRECTORY: Final = 64 << 20
_ENCRYPTED: Final = 0x2041
_FILE, _LINK, _KIND = 0o100000, 0o120000, 0o170000
_PLACES: Final = "expected files one behind the other, as they were packed"
_ANEW: Final = "if it was unpacked and zipped again, ask for the zip as it was sent"


@dataclass(frozen=True, kw_only=True)
class _End:
    """Where the directory is, and how many records it has."""

    count: int
    start: int
    size: int


class Archive:
    """An opened bundle: its entries by name, and the files whose headers are not as they were written.

    Raises:
        ArtifactError: no zip, or one that no bundle can be; nothing of it was unpacked.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        placeholder = in_place_of(path)
        if placeholder:
            raise ArtifactError(f"expected a bundle at {path}, found {placeholder}")
        try:
            self._file: IO[bytes] = open_regular(path)
        except OSError as error:
            raise ArtifactError(f"expected a bundle at {path}, found: {error.strerror}") from error
        try:
            self.entries = {entry.name: entry for entry in _entries(self._file, path)}
            self.deviations = tuple(_deviations(self._file, list(self.entries.values())))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        """Return the archive."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._file.close()

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of one file, a piece at a time.

        Raises:
            ArtifactError: there is no such file.
        """
        entry = self._entry(name)
        self._file.seek(entry.start)
        left = entry.size
        while left:
            piece = self._file.read(min(left, PIECE))
            if not piece:
                raise ArtifactError(f"{self.path}: expected {entry.size} bytes of {name}, found the end of the file")
            left -= len(piece)
            yield piece

    def read(self, name: str, most: int) -> bytes:
        """Return the bytes of one small file.

        Raises:
            ArtifactError: it has more bytes than ``most``.
        """
        if self.entries[name].size > most:
            raise ArtifactError(
                f"{self.path}: expected {name} of at most {most} bytes, found {self.entries[name].size}"
            )
        return b"".join(self.pieces(name))

    def _entry(self, name: str) -> Entry:
        if name not in self.entries:
            raise ArtifactError(f"{self.path}: expected the file {name}, found none")
        return self.entries[name]

    def unpack(self, name: str, folder: Path) -> Path:
        """Write one file into a folder, under its own name, and return its path.

        Raises:
            ArtifactError: its checksum differs.
        """
        names.check(name)
        target = folder.joinpath(*name.split("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        crc = 0
        with target.open("xb") as file:
            for piece in self.pieces(name):
                crc = zlib.crc32(piece, crc)
                file.write(piece)
        if crc != self._entry(name).crc:
            raise ArtifactError(f"{self.path}: the checksum of {name} differs")
        return target


def _entries(file: IO[bytes], path: Path) -> list[Entry]:
    """Return the entries in the order of the file, none of which can do harm."""
    size = file.seek(0, 2)
    try:
        end = _end(file, size)
        found = _records(_at(file, end.start, end.size), end.count)
        names.check_all(entry.name for entry in found)
        _check_places(found, end.start)
    except (ArtifactError, struct.error, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path} is no bundle of ours: {error}") from error
    return found


def _end(file: IO[bytes], size: int) -> _End:
    """Return what the last records of the file say, checked against its size."""
    if size < layout.END_SIZE:
        raise ArtifactError(f"expected a zip, found {size} bytes")
    last = _at(file, size - layout.END_SIZE, layout.END_SIZE)
    if last[:4] != layout.END or last[-2:] != b"\0\0":
        raise ArtifactError("expected a zip that ends with its directory, found something else at its end")
    disk, first, here, count, length, start = struct.unpack("<HHHHLL", last[4:20])
    behind = size - layout.END_SIZE
    if layout.FULL in (length, start) or count == layout.FULL_COUNT:
        behind -= layout.LOCATOR64_SIZE + layout.END64_SIZE
        count, length, start = _end64(file, behind)
    elif (disk, first) != (0, 0) or here != count:
        raise ArtifactError("expected a zip of one part, found several")
    if count > MOST_ENTRIES or length > LARGEST_DIRECTORY:
        raise ArtifactError(f"expected at most {MOST_ENTRIES} entries, found {count} in {length} bytes")
    if start + length != behind:
        raise ArtifactError("expected the directory right before the end, found other bytes between")
    return _End(count=count, start=start, size=length)


def _end64(file: IO[bytes], offset: int) -> tuple[int, int, int]:
    """Return count, size and start of a large directory."""
    if offset < 0:
        raise ArtifactError("expected the zip64 records of a large zip, found a small file")
    record = _at(file, offset, layout.END64_SIZE + layout.LOCATOR64_SIZE)
    if record[:4] != layout.END64 or record[layout.END64_SIZE :][:4] != layout.LOCATOR64:
        raise ArtifactError("expected the zip64 records of a large zip, found other bytes")
    count, length, start = struct.unpack("<QQQ", record[32 : layout.END64_SIZE])
    return count, length, start


def _records(content: bytes, count: int) -> list[Entry]:
    """Return the entries of a directory."""
    found: list[Entry] = []
    offset = 0
    while offset < len(content):
        record = content[offset : offset + layout.CENTRAL_SIZE]
        if len(record) < layout.CENTRAL_SIZE or record[:4] != layout.CENTRAL:
            raise ArtifactError(f"expected record {len(found)} of the directory, found other bytes")
        lengths = struct.unpack("<HHH", record[28:34])
        whole = content[offset : offset + layout.CENTRAL_SIZE + sum(lengths)]
        name = whole[layout.CENTRAL_SIZE :][: lengths[0]].decode("ascii")
        found.append(_record(record, name, whole[layout.CENTRAL_SIZE + lengths[0] :][: lengths[1]]))
        offset += layout.CENTRAL_SIZE + sum(lengths)
    if len(found) != count:
        raise ArtifactError(f"expected {count} entries, found {len(found)}")
    return found


def _record(record: bytes, name: str, extra: bytes) -> Entry:
    """Return one entry, if it is a stored, regular file."""
    flags, method = struct.unpack("<HH", record[8:12])
    crc, packed, size = struct.unpack("<LLL", record[16:28])
    attributes, offset = struct.unpack("<LL", record[38:46])
    shown = ascii(name)
    names.check(name)
    if flags & _ENCRYPTED:
        raise ArtifactError(f"expected files that anybody can read, found {shown} encrypted")
    if method != 0 or flags:
        raise ArtifactError(f"expected stored files, found {shown} with the method {method}, flags {flags:#x}")
    kind = attributes >> 16 & _KIND
    if kind == _LINK:
        raise ArtifactError(f"expected files, found the link {shown}")
    if kind not in (0, _FILE):
        raise ArtifactError(f"expected regular files, found {shown} of the kind {kind:o}")
    if packed != size:
        raise ArtifactError(f"expected stored files, found {shown} of {size} bytes in {packed}")
    wide = iter(struct.unpack(f"<{(len(extra) - 4) // 8}Q", extra[4:]) if len(extra) >= 4 else ())
    if size == layout.FULL:
        size = next(wide, size)
        next(wide, None)
    return Entry(name=name, size=size, crc=crc, offset=next(wide, offset) if offset == layout.FULL else offset)


def _check_places(entries: list[Entry], end: int) -> None:
    """Return if the files lie one behind the other, from the first byte up to the directory."""
    place = 0
    for entry in entries:
        if entry.offset < place:
            raise ArtifactError(f"{_PLACES}, found {entry.name!r} to overlap another one; {_ANEW}")
        if entry.offset > place:
            raise ArtifactError(f"{_PLACES}, found a gap before {entry.name!r}; {_ANEW}")
        if entry.end > end:
            raise ArtifactError(f"expected {entry.name!r} inside the zip, found {entry.size} bytes of it")
        place = entry.end
    if place != end:
        raise ArtifactError(f"expected files up to the directory, found {end - place} bytes that belong to none")


def _deviations(file: IO[bytes], entries: list[Entry]) -> Iterator[str]:
    """Yield the files whose headers are not as they were written."""
    for entry in entries:
        header = layout.local(entry)
        if _at(file, entry.offset, len(header)) != header:
            yield f"{entry.name}: its header is not as it was written"
    expected = layout.directory(entries)
    file.seek(entries[-1].end if entries else 0)
    found = file.read(len(expected) + 1)
    if found == expected:
        return
    offset = 0
    for entry in entries:
        record = layout.central(entry)
        if found[offset : offset + len(record)] != record:
            yield f"{entry.name}: its record in the directory is not as it was written"
            return
        offset += len(record)
    yield "the end of the zip is not as it was written"


def _at(file: IO[bytes], offset: int, size: int) -> bytes:
    file.seek(offset)
    found = file.read(size)
    if len(found) != size:
        raise ArtifactError(f"expected {size} bytes at {offset}, found {len(found)}")
    return found
