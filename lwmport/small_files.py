"""Whole small files of others: configurations, indexes, records. What is no file, or too large, is refused unread."""

import errno
import os
import stat
from pathlib import Path
from typing import Final

LIMIT: Final = 100_000_000
"""Bytes: an index of a hundred thousand tensors is a tenth of it."""


def read_small(path: Path, limit: int = LIMIT) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: there is none, it cannot be read, it is a pipe, a device or a folder, or it has more than ``limit``
            bytes; ``strerror`` says which.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe without a writer would be waited for
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device, and no file", str(path))
        content = file.read(min(status.st_size, limit) + 1)  # what is asked for is taken from memory at once
    if max(len(content), status.st_size) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes", str(path))
    return content
