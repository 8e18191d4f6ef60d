"""The bytes of a bundle's zip: stored entries one behind the other, their directory, nothing else.

Nothing is compressed: the bytes do not hang on a version of zlib, a model lies page-aligned in the file as it does on
disk, and there is no bomb to fear. Every header follows from name, size, checksum and offset, so a reader that makes
the headers anew finds each changed byte. The records are those of PKWARE's APPNOTE 6.3.10, sections 4.3.7 to 4.3.16;
sizes and offsets from 4 GiB on stand in the zip64 fields of section 4.5.3.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PAGE: Final = 4096
"""Models begin at a multiple of this."""
ALIGNED: Final = "models/"
"""Where the entries that are aligned live."""
LOCAL: Final = b"PK\x03\x04"
CENTRAL: Final = b"PK\x01\x02"
END: Final = b"PK\x05\x06"
END64: Final = b"PK\x06\x06"
LOCATOR64: Final = b"PK\x06\x07"
CENTRAL_SIZE: Final = 46
END_SIZE: Final = 22
END64_SIZE: Final = 56
LOCATOR64_SIZE: Final = 20
FULL: Final = 0xFFFFFFFF
"""From here on a size or an offset stands in a zip64 field."""
FULL_COUNT: Final = 0xFFFF

_ZIP64: Final = 1
_ALIGNMENT: Final = 0xD935
"""The extra field that Android's zipalign pads with: the alignment, then zeros."""
_VERSIONS: Final = {False: 20, True: 45}
_UNIX: Final = 3 << 8
_MODE: Final = 0o100644 << 16
"""A regular file that everybody reads."""
_TIME, _DATE = 0, 33
"""Midnight of 1 January 1980, the first that a zip can hold."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file of the zip. ``offset`` is that of its header."""

    name: str
    size: int
    crc: int
    offset: int

    @property
    def start(self) -> int:
        """Offset of the first byte of the file itself."""
        return self.offset + len(local(self))

    @property
    def end(self) -> int:
        """Offset behind the last byte of the file."""
        return self.start + self.size


def local(entry: Entry) -> bytes:
    """Return the header before a file, padded so that a model begins on a page."""
    big = entry.size >= FULL
    extra = struct.pack("<HHQQ", _ZIP64, 16, entry.size, entry.size) if big else b""
    extra += _padding(entry, 30 + len(entry.name) + len(extra))
    size = FULL if big else entry.size
    common = struct.pack("<HHHHHLLL", _VERSIONS[big], 0, 0, _TIME, _DATE, entry.crc, size, size)
    return LOCAL + common + struct.pack("<HH", len(entry.name), len(extra)) + entry.name.encode() + extra


def central(entry: Entry) -> bytes:
    """Return the directory's record of a file."""
    fields = [entry.size, entry.size] if entry.size >= FULL else []
    fields += [entry.offset] if entry.offset >= FULL else []
    extra = struct.pack(f"<HH{len(fields)}Q", _ZIP64, 8 * len(fields), *fields) if fields else b""
    version = _VERSIONS[bool(fields)]
    size, offset = min(entry.size, FULL), min(entry.offset, FULL)
    common = struct.pack("<HHHHHHLLL", _UNIX | version, version, 0, 0, _TIME, _DATE, entry.crc, size, size)
    rest = struct.pack("<HHHHHLL", len(entry.name), len(extra), 0, 0, 0, _MODE, offset)
    return CENTRAL + common + rest + entry.name.encode() + extra


def directory(entries: Sequence[Entry]) -> bytes:
    """Return everything behind the last file: the directory and what ends the zip."""
    records = b"".join(map(central, entries))
    start = entries[-1].end if entries else 0
    return records + ending(len(entries), len(records), start)


def ending(count: int, size: int, start: int) -> bytes:
    """Return what follows the directory of ``count`` records and ``size`` bytes that begins at ``start``."""
    last = END + struct.pack(
        "<HHHHLLH", 0, 0, min(count, FULL_COUNT), min(count, FULL_COUNT), min(size, FULL), min(start, FULL), 0
    )
    if count < FULL_COUNT and size < FULL and start < FULL:
        return last
    end64 = END64 + struct.pack("<QHHLLQQQQ", END64_SIZE - 12, _UNIX | 45, 45, 0, 0, count, count, size, start)
    return end64 + LOCATOR64 + struct.pack("<LQL", 0, start + size, 1) + last


def _padding(entry: Entry, length: int) -> bytes:
    """Return the extra field that lets the file begin on a page, where it is a model."""
    if not entry.name.startswith(ALIGNED):
        return b""
    zeros = -(entry.offset + length + 6) % PAGE
    return struct.pack("<HHH", _ALIGNMENT, 2 + zeros, PAGE) + bytes(zeros)
