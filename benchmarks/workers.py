"""A contender's own process: it opens a model, then waits for its turns.

A process each, so that memory is a contender's own and no thread pool stands in another's way.
"""

import multiprocessing
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from threads import limit_threads

from lwmport.memory import peak_bytes
from lwmport.types import Array, Runner

REST = 0.05
"""Seconds between two turns, in which the thread pool of the last one stops spinning."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What one run gave: seconds inside the process, outputs, and the process's peak memory so far."""

    seconds: float
    outputs: Mapping[str, Array]
    peak_bytes: int


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a contender could not go on."""

    message: str


class Worker:
    """One contender, opened on one case, which says the threads, in a process of its own; use it as a context.

    Raises:
        RuntimeError: the contender failed; the message is its own.
    """

    def __init__(self, name: str, opened: Callable[[Any], Runner], case: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, name, opened, case), daemon=True)
        self._process.start()
        theirs.close()
        self._receive()

    def run(self, inputs: Mapping[str, Array]) -> Turn:
        """Return what one run gave."""
        time.sleep(REST)
        self._connection.send(inputs)
        turn: Turn = self._receive()
        return turn

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join()

    def _receive(self) -> Any:
        try:
            found = self._connection.recv()
        except EOFError as error:
            self._process.join()
            raise RuntimeError(f"the process ended with exit code {self._process.exitcode}") from error
        if isinstance(found, Failure):
            raise RuntimeError(found.message)  # noqa: TRY004 - not the type is wrong, the contender failed
        return found


def _serve(connection: Connection, name: str, opened: Callable[[Any], Runner], case: Any) -> None:
    """Open a contender and run it as often as inputs come in, until the other side hangs up."""
    try:
        limit_threads(case.threads)
        runner = opened(case)
        connection.send(None)
        while True:
            connection.send(_turn(runner, connection.recv()))
    except EOFError:
        return
    except Exception as error:  # noqa: BLE001 - whatever it is, the other process reports it
        connection.send(Failure(message=f"{name}: {type(error).__name__}: {error}"))


def _turn(runner: Any, inputs: Mapping[str, Array]) -> Turn:
    start = time.perf_counter()
    outputs = runner.run(inputs)
    return Turn(seconds=time.perf_counter() - start, outputs=outputs, peak_bytes=peak_bytes())
