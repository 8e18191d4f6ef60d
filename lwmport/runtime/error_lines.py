"""What a runtime writes about an error while it runs: such a run is no result, even where it returns one."""

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Final

from lwmport.errors import RunnerError

ERROR: Final = re.compile(rb"\[[EF]:onnxruntime")
"""How ONNX Runtime's log marks an error, and a fatal one."""

COLOUR: Final = re.compile(rb"\x1b\[[0-9;]*m")
STANDARD_ERROR: Final = 2
_ALONE: Final = threading.Lock()
_KEPT: Final[list[int]] = []


class ReportedError(RunnerError):
    """A runtime wrote an error line, and returned all the same: what it returned is not judged."""


@contextlib.contextmanager
def watched(runtime: str) -> Iterator[None]:
    """Raise if a runtime writes an error line to standard error inside the block; all other lines are passed on.

    Standard error is one for the whole process, so that only one thread at a time looks at it. An exception of the
    block itself goes on as it is: what the runtime wrote about it is in it too.

    Raises:
        ReportedError: it wrote one; the line is in the message.
    """
    if not _ALONE.acquire(blocking=False):
        yield
        return
    try:
        with tempfile.TemporaryFile() as file:
            with _into(file.fileno()):
                yield
            file.seek(0)
            lines = file.read().splitlines(keepends=True)
    finally:
        _ALONE.release()
    wrong = [line for line in lines if ERROR.search(line)]
    os.write(STANDARD_ERROR, b"".join(line for line in lines if line not in wrong))
    if wrong:
        said = COLOUR.sub(b"", wrong[0]).decode(errors="replace").strip()
        raise ReportedError(f"{runtime} reports an error, so that what it returned is not judged: {said}")


def standard_error() -> int:
    """Return the descriptor of the process's own standard error, while a runtime is watched too."""
    return _KEPT[-1] if _KEPT else STANDARD_ERROR


@contextlib.contextmanager
def _into(descriptor: int) -> Iterator[None]:
    """Let standard error go into a file inside the block."""
    sys.stderr.flush()
    kept = os.dup(STANDARD_ERROR)
    _KEPT.append(kept)
    os.dup2(descriptor, STANDARD_ERROR)
    try:
        yield
    finally:
        os.dup2(kept, STANDARD_ERROR)
        _KEPT.remove(kept)
        os.close(kept)
