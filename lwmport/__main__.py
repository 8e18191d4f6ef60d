"""``python -m lwmport`` and the command ``lwmport``: a request to end is heard from the first line to the last."""

import atexit
import contextlib
import os
import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and leave, without the interpreter's own end: it waits for threads, and hears no more."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    try:
        from lwmport.cli import main as run
        from lwmport.cli.output import reserve

        if "--json" in sys.argv:
            reserve()
        run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads it any more
            stream.flush()
    atexit._run_exitfuncs()  # noqa: SLF001 - what the interpreter itself calls at its end
    os._exit(code)


def _leave(number: int, _frame: object) -> NoReturn:
    """End a process that has begun nothing."""
    os.write(2, b"error: interrupted\n")
    os._exit(128 + number)


if __name__ == "__main__":
    main()
