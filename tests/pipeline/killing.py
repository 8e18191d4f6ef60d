"""A conversion that is killed in a process of its own, for the tests of what another run makes of what it left."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from lwmport import atomic, journal
from lwmport.pipeline.observer import Silent


class Killer(Silent):
    """Ends the process for good when a phase of this beginning is on and a part of the bytes is written."""

    def __init__(self, part: float, phase: str = "") -> None:
        self.part, self.wanted, self.now = part, phase, ""

    def phase(self, text: str) -> None:
        self.now = text

    def progress(self, name: str, done: int, total: int) -> None:  # noqa: ARG002 - part of the protocol
        if self.now.startswith(self.wanted) and done > self.part * total:
            os.kill(os.getpid(), signal.SIGKILL)


def run_until_killed(code: str, out: Path) -> None:
    """Run Python code that is killed while it converts into ``out``, its one argument: what is left can be resumed."""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    killed = subprocess.run(
        [sys.executable, "-c", code, str(out)], env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert [entry.name for entry in out.iterdir()] == [atomic.UNFINISHED]
    assert journal.done_bytes(out / atomic.UNFINISHED) > 0


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
