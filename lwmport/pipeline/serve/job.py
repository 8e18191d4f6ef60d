"""Work on one request, done in another thread than the one that waits; it ends when nobody waits, or time is up."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from lwmport.errors import PortError, said
from lwmport.memory import is_out_of_memory
from lwmport.pipeline.serve.refused import Gone, RefusedError

END: Final = object()
"""The last event of a job."""

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
