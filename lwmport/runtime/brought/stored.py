"""Where the values of one tensor lie, checked against the size of its file, and read when they are asked for."""

import math
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport import npy
from lwmport.errors import ArtifactError, one_line
from lwmport.runtime.brought.listing import File, front_of
from lwmport.types import Array, dtype_of
from lwmport.wording import shown

MOST: Final = 8 << 30
"""Bytes of one tensor, which is held in memory while it is compared."""

MOST_TEXT: Final = 256 << 20
"""Bytes of numbers written as text."""

MOST_MEMBERS: Final = 100_000
FRONT: Final = npy.HEADER + 12
PLAIN: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Values in a file: sizes (None where only the values tell), name of the dtype (empty likewise), how to read."""

    shape: tuple[int, ...] | None
    dtype: str
    load: Callable[[], Array]


class OtherValues(ArtifactError):  # noqa: N818, nothing is wrong with the file: what it holds is none of ours
    """A whole file that holds no numbers."""


def in_npy(file: File) -> Stored:
    """Return the array of a .npy, of which the front alone is read now.

    Raises:
        OtherValues: it holds Python objects, which nobody unpickles, or other things than numbers.
        ArtifactError: it is damaged or cut.
    """
    head = _checked(npy.head(front_of(file, FRONT), file.told), file.bytes, file.told)
    flat = slice_of(file, head.offset, head.dtype, math.prod(head.shape))
    order: Any = "F" if head.turned else "C"
    return Stored(shape=head.shape, dtype=head.dtype.name, load=lambda: flat().reshape(head.shape, order=order))


def _checked(head: npy.Head, size: int, where: str) -> npy.Head:
    if not head.numeric:
        what = "Python objects, which are never unpickled" if head.dtype.hasobject else f"{head.dtype}, no numbers"
        raise OtherValues(f"{where} holds {what}")
    if size - head.offset != head.bytes:
        raise ArtifactError(
            f"{where}: expected {head.bytes:,} bytes of {head.dtype.name}{list(head.shape)}, found "
            f"{size - head.offset:,}; the file is cut: copy it again"
        )
    return head


def slice_of(file: File, start: int, dtype: np.dtype[Any], count: int) -> Callable[[], Array]:
    """Return what reads ``count`` numbers of a file from a byte on, in the machine's order of bytes.

    Raises:
        ArtifactError: the file ends before, or they are more than `MOST` bytes.
    """
    size = count * dtype.itemsize
    if size > MOST:
        raise ArtifactError(f"{file.told}: expected at most {MOST:,} bytes in one tensor, found {size:,}")
    if start + size > file.bytes:
        raise ArtifactError(
            f"{file.told}: expected {size:,} bytes from byte {start:,} on, found {max(file.bytes - start, 0):,}; "
            "the file is cut: copy it again"
        )

    def load() -> Array:
        try:
            found = np.fromfile(file.path, np.uint8, size, offset=start)
        except OSError as error:
            raise ArtifactError(f"{file.told}: expected {size:,} bytes, found: {error.strerror or error}") from error
        if found.nbytes != size:
            raise ArtifactError(f"{file.told}: expected {size:,} bytes, found {found.nbytes:,}; the file changed")
        values = found.view(dtype)
        return values if dtype.isnative else values.astype(dtype.newbyteorder("="))

    return load


def in_bytes(file: File, dtype: str, shape: tuple[int, ...], start: int = 0) -> Stored:
    """Return numbers without a header, of a dtype and shape that some other file tells.

    Raises:
        OtherValues: no array has that dtype.
        ArtifactError: the file ends before them.
    """
    found = number_type(dtype)
    if found is None:
        raise OtherValues(f"{file.told} has values of {shown(dtype)}, which no array holds")
    flat = slice_of(file, start, found, math.prod(shape))
    return Stored(shape=shape, dtype=found.name, load=lambda: flat().reshape(shape))


def number_type(name: str) -> np.dtype[Any] | None:
    """Return the dtype of numbers that a file names, None where it is none."""
    try:
        found = dtype_of(name)
    except TypeError:
        return None
    return found if found.kind in "biufV" and found.type is not np.void else None


def unknown_bytes(file: File) -> Stored:
    """Return a file of numbers whose dtype nothing tells, as bytes."""
    flat = slice_of(file, 0, np.dtype(np.uint8), file.bytes)
    return Stored(shape=None, dtype="", load=flat)


@dataclass(frozen=True, kw_only=True)
class Span:
    """Numbers written as text, between two bytes of a file, with commas or blanks between them."""

    file: File
    start: int
    end: int
    where: str
    between: str = ","


def in_text(file: File) -> Stored:
    """Return numbers written as text, in a row: what they mean is known when they are read.

    Raises:
        ArtifactError: the file has more than `MOST_TEXT` bytes.
    """
    if file.bytes > MOST_TEXT:
        raise ArtifactError(f"{file.told}: expected at most {MOST_TEXT:,} bytes of text, found {file.bytes:,}")
    span = Span(file=file, start=0, end=file.bytes, where=file.told, between=" ")
    return Stored(shape=None, dtype="", load=lambda: printed(span, "float64", (-1,)))


def printed(span: Span, dtype: str, shape: tuple[int, ...]) -> Array:
    """Return the numbers of a span in their sizes.

    Raises:
        ArtifactError: they are none, or others.
    """
    try:
        with span.file.path.open("rb") as stream:
            stream.seek(span.start)
            text = stream.read(span.end - span.start).decode("ascii")
        made = dtype_of(dtype)
        wide = np.int64 if made.kind in "iu" else np.float64  # a double has no room for every integer
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return np.fromstring(text.strip(), wide, sep=span.between).astype(made).reshape(shape)
    except (OSError, ValueError, TypeError, Warning) as error:
        what = f"{dtype}{list(shape)}" if shape != (-1,) else "numbers"
        raise ArtifactError(f"{span.where}: expected {what}, found: {one_line(error)}") from error


def in_npz(file: File) -> Iterator[tuple[str, Stored | str]]:
    """Yield the arrays of a .npz by name, or in place of one the reason why it is left aside.

    Raises:
        ArtifactError: the archive, or an array in it, is damaged or cut.
    """
    with _opened(file) as archive:
        members = archive.infolist()
        if len(members) > MOST_MEMBERS:
            raise ArtifactError(f"{file.told}: expected at most {MOST_MEMBERS:,} arrays, found {len(members):,}")
        for member in members:
            if not member.is_dir():
                yield member.filename.removesuffix(".npy"), _member(file, archive, member)


def _opened(file: File) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file.path)
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        raise ArtifactError(f"{file.told}: expected a .npz, found: {one_line(error)}; copy it again") from error


def _member(file: File, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Stored | str:
    where = f"{file.told}, {ascii(member.filename)[1:-1][:120]}"
    if not member.filename.endswith(".npy"):
        return f"{where} is no .npy"
    if member.compress_type not in PLAIN or member.file_size > MOST:
        raise ArtifactError(f"{where}: expected at most {MOST:,} bytes, plain or deflated, found {member.file_size:,}")
    try:
        with archive.open(member) as stream:
            front = stream.read(FRONT)
    except Exception as error:  # zlib.error, BadZipFile, EOFError: each has its own
        raise ArtifactError(f"{where}: expected an array, found: {one_line(error)}; copy the file again") from error
    try:
        head = _checked(npy.head(front, where), member.file_size, where)
    except OtherValues as error:
        return str(error)
    return Stored(shape=head.shape, dtype=head.dtype.name, load=lambda: _read_member(file.path, member, where))


def _read_member(path: Path, member: zipfile.ZipInfo, where: str) -> Array:
    try:
        with zipfile.ZipFile(path) as archive:
            content = archive.read(member)
    except Exception as error:
        raise ArtifactError(f"{where}: expected an array, found: {one_line(error)}; copy the file again") from error
    array = npy.read(content, where)
    return array.astype(array.dtype.newbyteorder("="), copy=False)
