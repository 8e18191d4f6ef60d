"""``python -m lwmport.pipeline.port.supervised_child WORDS``: the command line, ended when its standard input ends.

The process that holds the other end may be killed at any time. One that it started and that went on for nobody would
stand in the way of the next run.
"""

import os
import runpy
import signal
import threading
import time
from typing import Final

GRACE: Final = 5.0
"""Seconds to tidy up in; a runtime that computes does not stop at once. The next run goes on with what is left."""


def tie(grace: float = GRACE) -> None:
    """End this process when its standard input does: asked at first, so that it tidies up, and after a grace killed."""
    threading.Thread(target=_wait, args=(grace,), daemon=True).start()


def _wait(grace: float) -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    tie()
    runpy.run_module("lwmport", run_name="__main__", alter_sys=True)
