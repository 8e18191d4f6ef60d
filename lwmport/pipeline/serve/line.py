"""Requests stand in line: one runs at a time, and whoever leaves is forgotten."""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self

from lwmport.errors import PortError, said
from lwmport.memory import is_out_of_memory
from lwmport.pipeline.serve.refused import Gone, RefusedError

END: Final = object()
"""The last event of a job."""

JOINING: Final = 5.0
"""Seconds that the end of the server waits for a run of the model."""

Work = Callable[["Job"], None]


class Job:
    """Work on one request, done in the line's thread; what it tells comes out as events in the thread that made it.

    Args:
        work: is called with this job, and tells events by `tell`.
        seconds: how long it may take.
    """

    def __init__(self, work: Work, seconds: float) -> None:
        self._work: Work | None = work
        self._seconds, self._until = seconds, float("inf")
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Queue[Any] = asyncio.Queue()
        self._left = threading.Event()

    def tell(self, event: Any) -> None:
        """Hand an event over."""
        with contextlib.suppress(RuntimeError):  # the server has ended
            self._loop.call_soon_threadsafe(self._told.put_nowait, event)

    def leave(self) -> None:
        """Give up: the work ends at its next `check`, and is forgotten if it has not begun. No event follows."""
        self._left.set()
        self._work = None
        self._told.put_nowait(END)

    def check(self) -> None:
        """Return unless the work is to end.

        Raises:
            Gone: nobody waits for it.
            RefusedError: it has taken longer than it may.
        """
        if self._left.is_set():
            raise Gone
        if time.monotonic() > self._until:
            raise RefusedError(
                f"expected an answer within {self._seconds:g} seconds, as this server allows (--max-seconds), found it "
                "unfinished; ask for fewer tokens, or with a shorter prompt",
                status=504,
                code="time_limit",
            )

    def run(self) -> None:
        """Do the work; an error is an event too."""
        work = self._work
        self._until = time.monotonic() + self._seconds
        try:
            if work is not None:
                self.check()
                work(self)
        except Gone:
            pass
        except PortError as error:
            self.tell(error.with_traceback(None))
        except Exception as error:  # noqa: BLE001 - the server stays up
            full = isinstance(error, MemoryError) or is_out_of_memory(error)
            self.tell(
                RefusedError("out of memory; ask with a shorter prompt", status=503, code="out_of_memory")
                if full
                else PortError(f"{said(error)}; lwmport did not foresee this: please report it")
            )
        finally:
            self._work = None
            self.tell(END)

    async def events(self) -> AsyncIterator[Any]:
        """Yield what is told, until the end.

        Raises:
            Gone: it was given up.
            PortError: the work ended with one.
        """
        while (event := await self._told.get()) is not END:
            if isinstance(event, PortError):
                raise event
            yield event
        if self._left.is_set():
            raise Gone


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
