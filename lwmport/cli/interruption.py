"""A request to end (Ctrl-C, SIGTERM) that takes effect even where the exception that it raises is lost.

A signal's exception is raised wherever Python is at work: within JAX's callback of the garbage collector, say, whose
exceptions are printed and ignored. So the request is kept, and raised again as soon as the work tells of its progress.
"""

import signal
import sys
import threading
from typing import Any, NoReturn

_asked = threading.Event()


def listen() -> None:
    """Turn requests to end into `KeyboardInterrupt`, so that unfinished files are removed."""
    _asked.clear()
    sys.unraisablehook = _unraisable
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)


def asked() -> bool:
    """Return whether the process was asked to end."""
    return _asked.is_set()


def check() -> None:
    """Return unless the process was asked to end.

    Raises:
        KeyboardInterrupt: it was.
    """
    if _asked.is_set():
        raise KeyboardInterrupt


def _stop(_signal: int, _frame: Any) -> NoReturn:
    _asked.set()
    raise KeyboardInterrupt


def _unraisable(lost: Any) -> None:
    """Print what was lost, as ever, unless it is the request, which is kept."""
    if lost.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(lost)
