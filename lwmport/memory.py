"""How much memory this process has used at most, and how much there is for it: the machine's, or a container's.

Linux bounds the memory of processes in control groups, which lie in each other: version 2 names the bound
``memory.max``, version 1 ``memory.limit_in_bytes`` (Linux's documents cgroup-v2 and cgroup-v1/memory). In a container
the group's own files stand at the root of the tree, whatever ``/proc/self/cgroup`` says.
"""

import contextlib
import os
import resource
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lwmport.errors import PortError

STATUS: Final = Path("/proc/self/status")
TASKS: Final = Path("/proc/self/task")
MEMINFO: Final = Path("/proc/meminfo")
GROUPS: Final = Path("/proc/self/cgroup")
GROUP_TREE: Final = Path("/sys/fs/cgroup")
INTERVAL: Final = 0.05
"""Seconds between two looks."""


_bounding: Final = threading.RLock()


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
    """Return the memory that the process may have, in bytes; None where the system does not say.

    It is the machine's, or what the control groups of the process leave of it.
    """
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        machine = None
    return min((size for size in (machine, *(limit for limit, _ in _limits())) if size is not None), default=None)


def free_bytes() -> int | None:
    """Return the memory that is free for the process, in bytes; None where the system does not say.

    It is what the machine can give without swapping, or what is left below the limits of the control groups. Pages of
    files that were not in use lately count as free.
    """
    machine = _counted(MEMINFO, "MemAvailable:", 1024)
    found = total_bytes() if machine is None else machine
    return min(
        (size for size in (found, *(limit - used for limit, used in _limits())) if size is not None), default=None
    )


def address_space() -> int | None:
    """Return the limit of the address space of the process, in bytes; None where there is none."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def check_free(needed: int, what: str) -> None:
    """Return if so many bytes more are free for the process.

    Raises:
        PortError: there are fewer.
    """
    free = free_bytes()
    if free is not None and free < needed:
        raise PortError(
            f"expected about {needed:,} bytes of free memory to {what}, found {free:,}; close other programs, or use a "
            "larger machine"
        )


def is_scarce(count: int) -> bool:
    """Return whether ``count`` bytes are too many to be held by both sides of a comparison on this machine."""
    total = total_bytes()
    return total is not None and 2 * count > total


@contextlib.contextmanager
def bounded(nbytes: int) -> Iterator[None]:
    """Let the process take no more than ``nbytes`` of new memory in the block; more ends in a `MemoryError`.

    It is for native code that a few bytes of a file can send for gigabytes. Linux counts the memory that can be written
    (RLIMIT_DATA), of all threads together; elsewhere nothing is bounded.
    """
    with _bounding:  # the limit is the process's: of two blocks at once, the second would leave the first one's behind
        used, (soft, hard) = _field("VmData"), resource.getrlimit(resource.RLIMIT_DATA)
        bounds = [bound for bound in (soft, hard) if bound != resource.RLIM_INFINITY]
        if used is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (min([*bounds, used + nbytes]), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


OUT_OF_MEMORY: Final = (
    *("bad_alloc", "Cannot allocate memory", "cannot allocate memory", "out of memory", "Out of memory"),
    *("failed to map segment", "can't start new thread", "Resource temporarily unavailable", "Unable to allocate"),
)
"""What runtimes, the loader of libraries and Python's threads say when the system gives no more memory."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether too little memory is behind an error, whatever a runtime calls it."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, MemoryError) or any(sign in str(found) for sign in OUT_OF_MEMORY):
            return True
        found = found.__cause__ or found.__context__
    return False


class AnonymousPeak:
    """Looks at the anonymous memory every `INTERVAL` seconds while the block runs; elsewhere than on Linux, never.

    Args:
        started: whether that of the processes counts which this one has started.

    Attributes:
        peak_bytes: the largest that was seen, or None.
    """

    def __init__(self, *, started: bool = False) -> None:
        self.peak_bytes = anonymous_bytes()
        self._started = started
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
            self.peak_bytes = max(self.peak_bytes, found + (_started_bytes() if self._started else 0))


def _started_bytes() -> int:
    """Return the anonymous memory of the processes that this one has started, in bytes."""
    found = 0
    for listed in TASKS.glob("*/children"):
        with contextlib.suppress(OSError):
            processes = listed.read_text(encoding="ascii").split()
            found += sum(_counted(Path("/proc", process, "status"), "RssAnon:", 1024) or 0 for process in processes)
    return found


def _field(name: str) -> int | None:
    """Return a field of the process's status, which counts in KiB, in bytes."""
    return _counted(STATUS, f"{name}:", 1024)


def _counted(path: Path, name: str, unit: int = 1) -> int | None:
    """Return the number behind a name in a file of lines, in bytes; None if there is none."""
    with contextlib.suppress(OSError, ValueError):
        words = (line.split() for line in path.read_text(encoding="ascii", errors="replace").splitlines())
        return next((int(line[1]) * unit for line in words if len(line) > 1 and line[0] == name), None)
    return None


def _limits() -> Iterator[tuple[int, int]]:
    """Yield (limit, used) in bytes of every control group with a limit that the process is in, and of its addresses."""
    space = address_space()
    if space is not None:
        yield space, min(space, _field("VmSize") or 0)
    for folder, most, now, reclaimable in _groups():
        with contextlib.suppress(OSError, ValueError):
            limit = int((folder / most).read_text(encoding="ascii"))
            used = int((folder / now).read_text(encoding="ascii"))
            cached = _counted(folder / "memory.stat", reclaimable) or 0
            yield limit, min(limit, max(0, used - cached))


def _groups() -> Iterator[tuple[Path, str, str, str]]:
    """Yield each folder that may describe a group of the process, with the names of limit, use and idle file pages."""
    with contextlib.suppress(OSError, ValueError):
        for line in GROUPS.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                root, names = GROUP_TREE, ("memory.max", "memory.current", "inactive_file")
            elif "memory" in controllers.split(","):
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
                root = GROUP_TREE / "memory"
            else:
                continue
            parts = [part for part in Path(path).parts[1:] if part != ".."]
            for depth in range(len(parts) + 1):
                yield root.joinpath(*parts[:depth]), *names
