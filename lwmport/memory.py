"""How much memory this process has used at most."""

import os
import resource
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Self

STATUS: Final = Path("/proc/self/status")
INTERVAL: Final = 0.05
"""Seconds between two looks."""


def peak_bytes() -> int:
    """Return the largest resident memory of the process so far, in bytes.

    Linux reports the peak of the program itself as VmHWM; ru_maxrss, used elsewhere, also remembers what a parent
    had before it started this program.
    """
    found = _field("VmHWM")
    if found is not None:
        return found
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def anonymous_bytes() -> int | None:
    """Return the anonymous memory of the process now, in bytes; None where the system does not tell it apart.

    It is what the process has to itself: pages of mapped files are the kernel's to drop and to read again.
    """
    return _field("RssAnon")


def total_bytes() -> int | None:
    """Return the memory of the machine, in bytes; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


class AnonymousPeak:
    """Looks at the anonymous memory every `INTERVAL` seconds while the block runs; elsewhere than on Linux, never.

    Attributes:
        peak_bytes: the largest that was seen, or None.
    """

    def __init__(self) -> None:
        self.peak_bytes = anonymous_bytes()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> Self:
        """Begin to look."""
        if self.peak_bytes is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Look for the last time."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._ended.wait(INTERVAL):
            self._look()

    def _look(self) -> None:
        found = anonymous_bytes()
        if found is not None and self.peak_bytes is not None:
            self.peak_bytes = max(self.peak_bytes, found)


def _field(name: str) -> int | None:
    """Return a field of the process's status, which counts in KiB, in bytes."""
    if not STATUS.exists():
        return None
    lines = STATUS.read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), None)
