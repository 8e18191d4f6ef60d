"""Work that goes on beside the main thread: the digest of a checkpoint, while the checkpoint is converted."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Background(Generic[Result]):
    """A function at work in a thread of its own, which the program does not wait for when it ends early."""

    def __init__(self, function: Callable[[], Result]) -> None:
        self._found: list[Result] = []
        self._error: Exception | None = None
        self._function = function
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)
        self._thread.start()

    def result(self) -> Result:
        """Wait for the function and return what it returned, or raise what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._found[0]

    def _run(self) -> None:
        try:
            self._found.append(self._function())
        except Exception as error:  # noqa: BLE001 - raised again where the result is asked for
            self._error = error
