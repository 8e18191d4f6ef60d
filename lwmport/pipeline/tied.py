"""``python -m lwmport.pipeline.tied WORDS``: the command line, ended when its standard input ends.

The process that holds the other end may be killed at any time. One that it started and that went on for nobody would
stand in the way of the next run.
"""

import os
import runpy
import signal
import threading


def tie() -> None:
    """Ask this process to end when its standard input does; what it has not finished is then removed as ever."""
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    tie()
    runpy.run_module("lwmport", run_name="__main__", alter_sys=True)
