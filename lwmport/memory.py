"""How much memory this process has used at most."""

import resource
import sys
from pathlib import Path


def peak_bytes() -> int:
    """Return the largest resident memory of the process so far, in bytes.

    Linux reports the peak of the program itself as VmHWM; ru_maxrss, used elsewhere, also remembers what a parent
    had before it started this program.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
