"""A request to end (Ctrl-C, SIGTERM) ends the process within two seconds, wherever it is at work.

An exception is not enough. One that is raised within a callback of JAX's may be lost; one that unwinds through a
runtime that computes has ended in a segmentation fault; and while a runtime computes, no code of Python's runs in the
main thread. So the process does not unwind. The handler, or where the main thread does not come to it a thread that the
system's own handler wakes (`signal.set_wakeup_fd`), deletes what is under way, keeps what another run can go on with,
ends the processes that were started, says so in one line and leaves.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final, NoReturn

from lwmport import atomic, journal
from lwmport.cli.output import print_json, size
from lwmport.runtime.error_lines import standard_error

INTERRUPTION: Final = "interrupted; nothing was left half-written; the same command starts again"

NUMBERS: Final = (signal.SIGINT, signal.SIGTERM)

GRACE: Final = 0.2
"""Seconds for the main thread to come to its handler."""

PLACING: Final = 1.0
"""Seconds for files to take their final names."""

CHILDREN: Final = 0.6
"""Seconds for processes that were started to tidy up."""

LONGEST: Final = 5.0
"""Seconds after which a request to end has ended the process."""

PAUSE: Final = 0.005

_asked = threading.Event()
_ending = threading.Lock()
_owner: list[int] = []
_pipe: list[int] = []


def listen() -> None:
    """Take over requests to end, in this process and in none that it forks."""
    _asked.clear()
    sys.unraisablehook = _unraisable
    if not _pipe:
        _pipe.extend(os.pipe())
        os.set_blocking(_pipe[1], False)
        os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_forget)
        threading.Thread(target=_watch, name="interruption", daemon=True).start()
    signal.set_wakeup_fd(_pipe[1], warn_on_full_buffer=False)
    for number in NUMBERS:
        signal.signal(number, _stop)


def asked() -> bool:
    """Return whether the process was asked to end."""
    return _asked.is_set()


def check() -> None:
    """Return unless the process was asked to end; then it ends.

    Raises:
        KeyboardInterrupt: it has not ended yet.
    """
    wait()
    if _asked.is_set():
        raise KeyboardInterrupt


def wait() -> None:
    """Wait for the end of the process, if it was asked for."""
    if _asked.is_set():
        time.sleep(LONGEST)


def _stop(number: int, _frame: Any) -> None:
    """End the process; if files are just taking their final names, or it is ending already, go on for so long."""
    _asked.set()
    if not atomic.is_placing() and threading.get_ident() not in _owner:
        _end(number)


def _watch() -> None:
    """End the process if the main thread has not within a grace after a signal."""
    while True:
        for number in os.read(_pipe[0], 64):
            if number in NUMBERS:
                _asked.set()
                time.sleep(GRACE)
                until = time.monotonic() + PLACING
                while atomic.is_placing() and time.monotonic() < until:
                    time.sleep(PAUSE)
                _end(number)


def _end(number: int) -> NoReturn:
    if not _ending.acquire(blocking=False):
        while True:
            time.sleep(1)  # another thread ends the process
    _owner.append(threading.get_ident())
    code = 128 + number
    with contextlib.suppress(Exception):
        _stop_children()
    line = INTERRUPTION
    with contextlib.suppress(Exception):
        line = _told(atomic.abandon())
    with contextlib.suppress(Exception):
        if "--json" in sys.argv:
            print_json({"status": "error", "error": line, "exit_code": code})
        out = standard_error()
        shown = b"\r\x1b[K\x1b[?25h" if os.isatty(out) else b""  # a bar hides the cursor
        os.write(out, shown + f"error: {line}\n".encode())
    os._exit(code)


def _told(kept: list[Path]) -> str:
    """Return the line that says what is kept."""
    done = [(folder.parent, journal.done_bytes(folder)) for folder in kept]
    said = [f"{size(count)} are done and kept in {folder}" for folder, count in done if count]
    return f"interrupted; {', '.join(said)}, and the same command goes on from there" if said else INTERRUPTION


def _stop_children() -> None:
    """Ask the processes that were started to end, and end those that do not, with their groups where they have one."""
    children = _children()
    for child in children:
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGTERM)
    until = time.monotonic() + CHILDREN
    while children and time.monotonic() < until:
        children = [child for child in children if _is_running(child)]
        time.sleep(PAUSE)
    for child in children:
        with contextlib.suppress(OSError):
            os.killpg(child, signal.SIGKILL) if os.getpgid(child) == child else os.kill(child, signal.SIGKILL)


def _children() -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int(path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(path.parent.name))
    return found


def _is_running(child: int) -> bool:
    try:
        return os.waitpid(child, os.WNOHANG) == (0, 0)
    except OSError:
        return False


def _hold() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)


def _release() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)


def _forget() -> None:
    """Leave a forked process as if nobody had listened: its signals are its own, and the pipe is its parent's."""
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.set_wakeup_fd(-1)
        for number in NUMBERS:
            signal.signal(number, signal.SIG_DFL)
    _pipe.clear()
    _release()


def _unraisable(lost: Any) -> None:
    """Print what was lost, as ever, unless it is the request, which is kept."""
    if lost.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(lost)
