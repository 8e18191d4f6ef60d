"""What the kernel says of a process's memory, seen from another one: who is measured loads nothing for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

FIELDS: Final = ("VmHWM", "RssAnon")


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The most that was resident so far (VmHWM, the kernel's high-water mark), and what is anonymous now (RssAnon)."""

    peak_bytes: int
    anonymous_bytes: int


def memory_of(process: int) -> Memory:
    """Return the memory of a process by its number; zeros once it has ended (Linux, proc_pid_status(5))."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    pairs = (line.split(":") for line in lines if line.startswith(FIELDS))
    found = {name: int(rest.split()[0]) * 1024 for name, rest in pairs}
    peak, anonymous = (found.get(name, 0) for name in FIELDS)
    return Memory(peak_bytes=peak, anonymous_bytes=anonymous)
