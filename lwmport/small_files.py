"""Whole small files of others: configurations, indexes, records. What is no file, or too large, is refused unread."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

LIMIT: Final = 100_000_000
"""Bytes: an index of a hundred thousand tensors is a tenth of it."""


def open_regular(path: Path) -> BinaryIO:
    """Return a regular file, open for reading.

    Raises:
        OSError: there is none, it cannot be read, or it is a pipe, a device or a folder; ``strerror`` says which.
    """
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")  # a pipe without a writer would be waited for
    mode = os.fstat(file.fileno()).st_mode
    if stat.S_ISREG(mode):
        return file
    file.close()
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "it is a pipe or a device, and no file", str(path))


def read_small(path: Path, limit: int = LIMIT) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: there is none, it cannot be read, it is a pipe, a device or a folder, or it has more than ``limit``
            bytes; ``strerror`` says which.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(size, limit) + 1)  # what is asked for is taken from memory at once
    if max(len(content), size) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes", str(path))
    return content
