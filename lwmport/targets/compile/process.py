"""Running a vendor's program: its words go to a log, and it ends when we end."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path


def run_logged(words: Sequence[str], folder: Path, log: Path) -> int:
    """Return the exit code of a program that ran in ``folder``, with all that it said in ``log``.

    Raises:
        OSError: it could not be started.
    """
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - the tool that the user asked for
            words, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        with _ended_with_us(process):
            return process.wait()


@contextlib.contextmanager
def _ended_with_us(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """End the program and its children if the block is interrupted."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
