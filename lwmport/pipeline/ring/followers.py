"""The ranks of one machine but the first, each a process that is started, watched and ended."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any, Final

from lwmport.errors import LostRankError
from lwmport.pipeline.ring.place import Place
from lwmport.pipeline.ring.started import StartedRanks

STARTING: Final = 600.0
"""Seconds that a process has to import what it needs."""

SETTLED: Final = 1.0
"""Seconds for the system to tell which process died first of several that end together."""

LONGEST: Final = 2000
"""Bytes of a rank's last words that are read."""


class Followers(StartedRanks):
    """Processes for the ranks from 1 on.

    Args:
        folder: the model.
        place: that of rank 0, this process.
        runner, threads: as of rank 0.
    """

    def __init__(self, folder: Path, place: Place, runner: str | None, threads: int | None) -> None:
        self._scratch = tempfile.TemporaryDirectory()
        self._place = place = replace(place, meeting=(Path(self._scratch.name) / "ranks").as_uri())
        self._said: list[IO[bytes]] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        for rank in range(1, place.ranks):
            told = {
                "folder": str(folder.absolute()),
                "place": asdict(replace(place, rank=rank)),
                "runner": runner,
                "threads": threads,
                "parent": os.getpid(),
            }
            self._said.append(tempfile.TemporaryFile())  # noqa: SIM115 - closed with the processes
            self._processes.append(_started(told, self._said[-1]))

    def wait(self) -> Place:
        """Return the place of rank 0 when every process is about to join it.

        Raises:
            LostRankError: one ended, or is not so far in `STARTING` seconds.
        """
        until = time.monotonic() + STARTING
        with selectors.DefaultSelector() as selector:
            for process in self._processes:
                selector.register(process.stdout, selectors.EVENT_READ)  # type: ignore[arg-type]
            while selector.get_map():
                ready = selector.select(max(until - time.monotonic(), 0))
                if not ready or not all(os.read(key.fd, 1) for key, _ in ready):
                    raise LostRankError(f"expected all ranks within {STARTING:g} s, found that one is not here")
                for key, _ in ready:
                    selector.unregister(key.fileobj)
        return self._place

    def _lost(self, otherwise: str) -> str:
        """Return in one line which rank is gone and why; ``otherwise`` where all are still there."""
        until = time.monotonic() + SETTLED
        while time.monotonic() < until and not any(process.poll() for process in self._processes):
            time.sleep(0.02)
        time.sleep(0.1)  # its neighbours end because it did
        ended = [(rank, code) for rank, process in enumerate(self._processes, 1) if (code := process.poll())]
        ranks = len(self._processes) + 1
        for rank, code in sorted(ended, key=lambda pair: pair[1] > 0):
            if code < 0:
                why = f"killed by {signal.Signals(-code).name}, by someone or for want of memory"
                return f"expected {ranks} ranks at work, found rank {rank} {why}; start again, with more ranks if so"
        own = [(rank, words) for rank, _ in ended if (words := self._words(rank)) and "answer of rank" not in words]
        return f"expected {ranks} ranks at work, found that rank {own[0][0]} ended: {own[0][1]}" if own else otherwise

    def _end(self, seconds: float) -> None:
        """Wait so long for the processes to end by themselves, and kill those that have not."""
        until = time.monotonic() + seconds
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(until - time.monotonic(), 0.01))
            with contextlib.suppress(ProcessLookupError, PermissionError):
                process.kill()
            process.wait()
            process.stdout.close()  # type: ignore[union-attr]
        for file in self._said:
            file.close()
        self._scratch.cleanup()

    def _words(self, rank: int) -> str:
        """Return the last line that a rank said."""
        file = self._said[rank - 1]
        file.seek(max(file.seek(0, os.SEEK_END) - LONGEST, 0))
        lines = file.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def _started(told: Mapping[str, Any], said: IO[bytes]) -> "subprocess.Popen[bytes]":
    path = os.pathsep.join(item or str(Path.cwd()) for item in sys.path)
    return subprocess.Popen(  # noqa: S603 - our own module, in our own interpreter
        [sys.executable, "-P", "-m", "lwmport.pipeline.ring.follower", json.dumps(told)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=said,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": path, "LOCAL_RANK": str(told["place"]["rank"])},
    )
