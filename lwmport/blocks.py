"""A file written from front to back: stored and hashed by threads, block by block, while the next block is filled.

Blocks go to the disk past the page cache where the system allows it (``O_DIRECT``): a model of the size of the memory
would drive everything else out of it, and the copy costs as much time as the cast of the values.
"""

import errno
import fcntl
import hashlib
import mmap
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

BLOCK: Final = 8 << 20
"""Bytes stored at once."""

IN_FLIGHT: Final = 4
"""Blocks that are filled, hashed or stored at the same time."""

PAGE: Final = 4096
"""What offsets and lengths past the page cache must be multiples of."""

BEHIND: Final = 8 * BLOCK
"""Bytes that may still be on their way to the disk where the page cache has to be used."""

Marked: TypeAlias = Callable[[int, str], None]
"""Called with the length of a stored front of the file and its SHA-256."""


class BlockFile:
    """One file under way; what writes to it need not wait for the disk.

    Args:
        path: the file; it is made, or kept up to ``kept`` and cut off there.
        kept: bytes at the front that are there already. What is written over them is taken for the same and dropped.
        hashed: the SHA-256 state after ``kept`` bytes.
        marked: called with every `mark` when all before it is stored.
    """

    def __init__(self, path: Path, kept: int = 0, hashed: Any = None, marked: Marked | None = None) -> None:
        self.kept = kept
        self.position = 0
        self._hash = hashed or hashlib.sha256()
        self._marked = marked
        self._marks: list[int] = []
        self._disk = _Disk(path, kept)
        self._base = kept // PAGE * PAGE
        self._fill = self._fresh = kept - self._base
        self._block = mmap.mmap(-1, BLOCK)
        self._block[: self._fill] = self._disk.read(self._base, self._fill)
        self._pending: deque[tuple[Future[None], mmap.mmap]] = deque()
        self._hasher = ThreadPoolExecutor(1, "hash")
        self._writer = ThreadPoolExecutor(1, "write")

    def __enter__(self) -> Self:
        """Return the file, which is open already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Store the rest and wait for the disk; after an error, store nothing more."""
        try:
            if error is None:
                self._hand_over()
                while self._pending:
                    self._oldest()
                self._disk.finish(self.position)
        finally:
            self._hasher.shutdown(cancel_futures=True)
            self._writer.shutdown(cancel_futures=True)
            self._disk.close()

    @property
    def sha256(self) -> str:
        """The hexadecimal SHA-256 of the whole file, once it is closed."""
        digest: str = self._hash.hexdigest()
        return digest

    def skips(self, count: int) -> bool:
        """Step over ``count`` bytes if they are kept from before; else stay, for they have to be written."""
        if self.position + count > self.kept:
            return False
        self.position += count
        return True

    def write(self, data: bytes | memoryview) -> None:
        """Write bytes.

        Raises:
            OSError: earlier ones could not be stored.
        """
        left = memoryview(data).cast("B")
        if self.skips(len(left)):
            return
        while left:
            part = left[: BLOCK - self._fill]
            self._block[self._fill : self._fill + len(part)] = part
            self._fill += len(part)
            self.position += len(part)
            left = left[len(part) :]
            if self._fill == BLOCK:
                self._hand_over()

    def align(self, multiple: int) -> int:
        """Write zeros up to the next multiple and return that offset."""
        offset = -(-self.position // multiple) * multiple
        self.write(bytes(offset - self.position))
        return offset

    def mark(self) -> None:
        """Have the bytes up to here reported as soon as they are stored."""
        if self._marked and self.position > self.kept:
            self._marks.append(self._fill)

    def _hand_over(self) -> None:
        block, fill, base = self._block, self._fill, self._base
        digests = self._hasher.submit(self._digest, block, self._fresh, fill, self._marks)
        self._pending.append((self._writer.submit(self._store, block, fill, base, digests), block))
        self._base, self._fill, self._fresh, self._marks = base + fill, 0, 0, []
        self._block = self._oldest() if len(self._pending) == IN_FLIGHT else mmap.mmap(-1, BLOCK)

    def _oldest(self) -> mmap.mmap:
        """Wait for the block that was handed over first and return it, to be filled again."""
        stored, block = self._pending.popleft()
        stored.result()
        return block

    def _digest(self, block: mmap.mmap, begin: int, end: int, marks: list[int]) -> list[tuple[int, str]]:
        """Hash a block and return the digest of the file up to each mark in it."""
        found = []
        with memoryview(block) as view:
            for mark in marks:
                self._hash.update(view[begin:mark])
                found.append((mark, self._hash.copy().hexdigest()))
                begin = mark
            self._hash.update(view[begin:end])
        return found

    def _store(self, block: mmap.mmap, fill: int, base: int, digests: Future[list[tuple[int, str]]]) -> None:
        padded = -(-fill // PAGE) * PAGE
        block[fill:padded] = bytes(padded - fill)
        self._disk.write(block, padded, base)
        for mark, digest in digests.result():
            if self._marked:
                self._marked(base + mark, digest)


class _Disk:
    """The file itself, past the page cache where that works."""

    def __init__(self, path: Path, kept: int) -> None:
        flags = os.O_RDWR | os.O_CREAT
        self._direct = getattr(os, "O_DIRECT", 0)
        self._descriptor = os.open(path, flags, 0o666)
        os.ftruncate(self._descriptor, kept)
        self._storing = self._opened(path)

    def _opened(self, path: Path) -> int:
        try:
            return os.open(path, os.O_WRONLY | self._direct)
        except OSError as error:
            if error.errno != errno.EINVAL or not self._direct:
                raise
        self._direct = 0
        return os.open(path, os.O_WRONLY)

    def read(self, offset: int, count: int) -> bytes:
        return os.pread(self._descriptor, count, offset)

    def write(self, block: mmap.mmap, count: int, offset: int) -> None:
        with memoryview(block) as view:
            done = 0
            while done < count:
                done += self._some(view[done:count], offset + done)
        if not self._direct and hasattr(os, "posix_fadvise"):
            # The first call makes the kernel begin to store these bytes, the second lets go of what it has stored.
            os.posix_fadvise(self._storing, offset, count, os.POSIX_FADV_DONTNEED)
            os.posix_fadvise(self._storing, 0, max(0, offset - BEHIND) or 1, os.POSIX_FADV_DONTNEED)

    def _some(self, view: memoryview, offset: int) -> int:
        try:
            return os.pwrite(self._storing, view, offset)
        except OSError as error:
            if error.errno != errno.EINVAL or not self._direct:
                raise
        self._direct = 0  # the file system takes the flag, but not the write
        fcntl.fcntl(self._storing, fcntl.F_SETFL, 0)
        return os.pwrite(self._storing, view, offset)

    def finish(self, length: int) -> None:
        os.ftruncate(self._descriptor, length)
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._storing)
        os.close(self._descriptor)
