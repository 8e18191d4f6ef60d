"""Requests stand in line: one runs at a time, and whoever leaves is forgotten."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self

from lwmport.pipeline.serve.job import Job, Work
from lwmport.pipeline.serve.refused import RefusedError

JOINING: Final = 5.0
"""Seconds that the end of the server waits for a run of the model."""


class Place:
    """A place in the line, taken before a request is read and given back when it is answered. A ``with`` block."""

    def __init__(self, line: "Line") -> None:
        self._line = line
        self._job: Job | None = None
        self._watching: asyncio.Task[None] | None = None

    def enter(self, work: Work, gone: Callable[[], Awaitable[None]]) -> Job:
        """Return the job that does some work when its turn has come.

        ``gone`` returns when whoever asked has left; the job is given up then.
        """
        job = self._job = self._line.enter(work)

        async def watch() -> None:
            await gone()
            job.leave()

        self._watching = asyncio.create_task(watch())
        return job

    def __enter__(self) -> Self:
        """Take the place.

        Raises:
            RefusedError: there is none.
        """
        self._line.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the place back, and give up what has not ended."""
        if self._watching is not None:
            self._watching.cancel()
        self._line.give_back(self._job)


class Line:
    """Places for requests, and the thread that does their work one after another.

    Args:
        waiting: places behind the one that runs.
        seconds: how long one may take.
        rest: is called behind each, in the same thread.
    """

    def __init__(self, waiting: int, seconds: float, rest: Callable[[], None]) -> None:
        self._places, self._seconds, self._rest = waiting + 1, seconds, rest
        self._taken = 0
        self._jobs: deque[Job] = deque()
        self._running: Job | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._go, name="line", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether the server ends."""
        return self._closed

    @property
    def taken(self) -> int:
        """How many places are taken: requests that are read, wait, run, or are being answered."""
        return self._taken

    @property
    def waiting(self) -> int:
        """How many jobs have not begun."""
        return len(self._jobs)

    @property
    def running(self) -> int:
        """1 while a job is at work, else 0."""
        return int(self._running is not None)

    def place(self) -> Place:
        """Return a place for one request, which a ``with`` block takes."""
        return Place(self)

    def take(self) -> None:
        """Take a place.

        Raises:
            RefusedError: there is none.
        """
        with self._changed:
            if self._taken >= self._places:
                raise RefusedError(
                    f"expected at most {self._places} requests at once, one that runs and {self._places - 1} that wait "
                    "(--queue), found one more; come again",
                    status=429,
                    code="queue_full",
                )
            self._taken += 1

    def give_back(self, job: Job | None) -> None:
        """Give a place back, and give up its job."""
        with self._changed:
            self._taken -= 1
            if job is not None:
                job.leave()
                with contextlib.suppress(ValueError):  # it has begun
                    self._jobs.remove(job)

    def enter(self, work: Work) -> Job:
        """Return a job behind the others."""
        job = Job(work, self._seconds)
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()
        return job

    def close(self) -> bool:
        """Give up all jobs and end the thread; return whether it has ended, and the model runs no more."""
        with self._changed:
            self._closed = True
            for job in (*self._jobs, *filter(None, [self._running])):
                job.leave()
            self._changed.notify()
        self._thread.join(JOINING)
        return not self._thread.is_alive()

    def _go(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._closed)
                if self._closed:
                    return
                self._running = self._jobs.popleft()
            self._running.run()
            self._running = None
            self._rest()
