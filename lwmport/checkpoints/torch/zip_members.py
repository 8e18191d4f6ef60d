"""Where the members of a zip archive lie, as PyTorch writes it: stored as they are, in one file, with or without zip64.

Source: PKWARE's APPNOTE.TXT 6.3, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14 to 4.3.16 (ends).
"""

import struct
from dataclasses import dataclass
from typing import Final

from lwmport.checkpoints.cursor import Cursor
from lwmport.checkpoints.entry import MAX_TENSORS
from lwmport.checkpoints.tree import MAX_NAME
from lwmport.errors import CheckpointError
from lwmport.wording import shown

END: Final = b"PK\x05\x06"
END_BYTES: Final = 22
COMMENT: Final = 1 << 16
LOCATOR: Final = b"PK\x06\x07"
LOCATOR_BYTES: Final = 20
END64: Final = b"PK\x06\x06"
CENTRAL: Final = b"PK\x01\x02"
LOCAL: Final = b"PK\x03\x04"
LOCAL_BYTES: Final = 30
ZIP64: Final = 1
"""The extra field that holds the sizes and the offset which do not fit 4 bytes."""

FULL: Final = 0xFFFFFFFF
FULL_SHORT: Final = 0xFFFF
ENCRYPTED: Final = 1


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file of the archive: the bytes ``[offset, offset + length)`` of the archive are its own."""

    offset: int
    length: int


def members(cursor: Cursor) -> dict[str, Member]:
    """Return every file of the archive by name.

    Raises:
        CheckpointError: truncated, damaged, compressed, encrypted, or with members that overlap.
    """
    count, begin, end = _end(cursor)
    if count > MAX_TENSORS:
        raise CheckpointError(f"expected at most {MAX_TENSORS:,} files in the archive, found {count:,}")
    directory = cursor.window(begin, end - begin)
    found: dict[str, Member] = {}
    for _ in range(count):
        name, member = _entry(directory, cursor, begin)
        if name in found:
            raise CheckpointError(f"damaged: two files named {shown(name)!r} in the archive")
        found[name] = member
    _check_apart(found)
    return found


def _end(cursor: Cursor) -> tuple[int, int, int]:
    """Return the number of members, and where the central directory begins and ends."""
    tail_begin = max(cursor.position, cursor.end - COMMENT - END_BYTES - LOCATOR_BYTES)
    tail = cursor.window(tail_begin, cursor.end - tail_begin).take(cursor.end - tail_begin)
    found = tail.rfind(END)
    if found < 0 or len(tail) - found < END_BYTES:
        raise CheckpointError("truncated: expected the directory at the end of the zip archive, found none")
    count, size, offset = struct.unpack("<HII", tail[found + 10 : found + 20])
    locator = tail[max(found - LOCATOR_BYTES, 0) : found]
    if locator[:4] == LOCATOR and FULL in {size, offset, FULL if count == FULL_SHORT else 0}:
        count, size, offset = _end64(cursor, struct.unpack("<Q", locator[8:16])[0])
    if offset + size > tail_begin + found:
        raise CheckpointError(f"damaged: the archive's directory of {size} bytes at {offset} is not inside the file")
    return count, offset, offset + size


def _end64(cursor: Cursor, offset: int) -> tuple[int, int, int]:
    record = _whole(cursor, offset, 56)
    if record[:4] != END64:
        raise CheckpointError(f"damaged: no zip64 directory at offset {offset}")
    count, size, begin = struct.unpack("<QQQ", record[32:56])
    return count, size, begin


def _entry(directory: Cursor, cursor: Cursor, end: int) -> tuple[str, Member]:
    fields = directory.take(46)
    if fields[:4] != CENTRAL:
        raise CheckpointError(f"damaged: no entry of the archive at offset {directory.position - 46}")
    flags, method = struct.unpack("<HH", fields[8:12])
    packed, size, name_bytes, extra_bytes, comment_bytes = struct.unpack("<IIHHH", fields[20:34])
    (offset,) = struct.unpack("<I", fields[42:46])
    name = _name(directory.take(min(name_bytes, MAX_NAME + 1)))
    extra = directory.take(extra_bytes)
    directory.skip(comment_bytes)
    size, packed, offset = _large(extra, (size, packed, offset))
    if method or flags & ENCRYPTED or packed != size:
        raise CheckpointError(
            f"{shown(name)}: expected a file stored as it is, found it compressed or encrypted; save it with torch.save"
        )
    return name, Member(offset=_data(cursor, offset, size, end), length=size)


def _name(raw: bytes) -> str:
    if len(raw) > MAX_NAME:
        raise CheckpointError(f"expected a name of at most {MAX_NAME} bytes in the archive, found more")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise CheckpointError(f"damaged: a name in the archive is no UTF-8: {error.reason}") from error


def _large(extra: bytes, values: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the values with those that say "see zip64" taken from the extra field, in its fixed order."""
    fields = _zip64(extra)
    found = list(values)
    for number, value in enumerate(values):
        if value == FULL:
            if len(fields) < 8:
                raise CheckpointError("damaged: a zip64 size is missing in the archive")
            found[number], fields = int.from_bytes(fields[:8], "little"), fields[8:]
    return found[0], found[1], found[2]


def _zip64(extra: bytes) -> bytes:
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        if kind == ZIP64:
            return extra[4 : 4 + length]
        extra = extra[4 + length :]
    return b""


def _data(cursor: Cursor, offset: int, size: int, end: int) -> int:
    """Return where the bytes of a member begin: after its local header, whose own lengths count."""
    header = _whole(cursor, offset, LOCAL_BYTES)
    if header[:4] != LOCAL:
        raise CheckpointError(f"damaged: no file of the archive at offset {offset}")
    name_bytes, extra_bytes = struct.unpack("<HH", header[26:30])
    begin = offset + LOCAL_BYTES + int(name_bytes) + int(extra_bytes)
    if begin + size > end:
        raise CheckpointError(f"damaged: expected {size} bytes at offset {begin}, found the archive's directory there")
    return begin


def _whole(cursor: Cursor, offset: int, count: int) -> bytes:
    if offset + count > cursor.end:
        raise CheckpointError(f"truncated: expected {count} bytes at offset {offset}, found the end")
    return cursor.window(offset, count).take(count)


def _check_apart(found: dict[str, Member]) -> None:
    end = 0
    for member, name in sorted((member.offset, name) for name, member in found.items()):
        if member < end:
            raise CheckpointError(f"{shown(name)}: damaged: it overlaps the file before it in the archive")
        end = member + found[name].length
