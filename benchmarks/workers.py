"""A contender's own process: it opens a model, then waits for its turns.

A process each, so that memory is a contender's own and no thread pool stands in another's way. This module is imported
by interpreters that lack ``lwmport``.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from interpreters import OWN, command
from memory import memory_of
from threads import limit_threads

REST = 0.05
"""Seconds between two turns, in which the thread pool of the last one stops spinning."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What one run gave: seconds inside the process, outputs, and the process's peak memory so far."""

    seconds: float
    outputs: Mapping[str, Any]
    peak_bytes: int


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a contender could not go on."""

    message: str


class Worker:
    """One contender, opened on one case, which says the threads, in a process of its own; to be closed.

    ``opened`` is imported in the other process: it is a class or a function of a module of this folder.

    Raises:
        RuntimeError: the contender failed; the message is its own.
    """

    def __init__(self, name: str, opened: Callable[[Any], Any], case: Any, interpreter: str = OWN) -> None:
        self._name = name
        self._connection, theirs = Pipe()
        number = theirs.fileno()
        self._process = subprocess.Popen(command(interpreter, Path(__file__), str(number)), pass_fds=[number])
        theirs.close()
        try:
            self._exchange((opened, case))
        except RuntimeError:
            self.close()
            raise

    def run(self, inputs: Any) -> Turn:
        """Return what one run gave, of inputs by name as a rule."""
        time.sleep(REST)
        seconds, outputs = self._exchange(inputs)
        return Turn(seconds=seconds, outputs=outputs, peak_bytes=memory_of(self._process.pid).peak_bytes)

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.wait()

    def _exchange(self, given: Any) -> Any:
        try:
            self._connection.send(given)
            found = self._connection.recv()
        except (EOFError, ConnectionError) as error:
            code = self._process.wait()
            raise RuntimeError(f"{self._name}: the process ended with exit code {code}") from error
        if isinstance(found, Failure):
            raise RuntimeError(f"{self._name}: {found.message}")  # noqa: TRY004 - not the type is wrong, it failed
        return found


def serve(connection: Connection) -> None:
    """Open the contender that comes in and run it as often as inputs do, until the other side hangs up."""
    try:
        opened, case = connection.recv()
        limit_threads(case.threads)
        runner = opened(case)
        connection.send(None)
        while True:
            connection.send(_timed(runner, connection.recv()))
    except EOFError:
        return
    except Exception as error:  # noqa: BLE001 - whatever it is, the other process reports it
        connection.send(Failure(message=f"{type(error).__name__}: {error}"))


def _timed(runner: Any, inputs: Any) -> tuple[float, Mapping[str, Any]]:
    start = time.perf_counter()
    outputs = runner.run(inputs)
    return time.perf_counter() - start, outputs


if __name__ == "__main__":
    import workers  # so that what is sent is of the module that the other side knows

    workers.serve(Connection(int(sys.argv[1])))
