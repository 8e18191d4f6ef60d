"""A worker in a process of its own: one line for its failure, whatever way it ended."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lwmport.errors import LoweringError, PortError

WORKER: Final = "lwmport.converters.tf2onnx_route.worker"

SETTINGS: Final = {
    "PYTHONHASHSEED": "0",
    "TF2ONNX_CATCH_ERRORS": "FALSE",
}
"""One hash, for tf2onnx walks sets of names; and no copy of the model before each pass, kept to go on without it."""

OUT_OF_MEMORY: Final = ("MemoryError", "bad_alloc", "SystemError: error return without exception set")
"""What a process says whose request for memory failed; the last is an extension that did not look at the answer."""

SHOWN: Final = 300
"""Characters of a tool's last words that go into the one line."""


def run_worker(request: Mapping[str, Any], scratch: Path, timeout: float) -> None:
    """Run the worker on a request and return when it is done.

    Raises:
        LoweringError: tf2onnx or onnxsim raised an exception.
        PortError: the process was ended by the system, by its memory bound, or after ``timeout`` seconds.
    """
    asked, log = scratch / "request.json", scratch / "worker.log"
    asked.write_text(json.dumps(request), encoding="utf-8")
    command = [sys.executable, "-m", WORKER, str(asked)]
    with log.open("wb") as words:
        try:
            done = subprocess.run(  # noqa: S603 - our own module, in our own interpreter
                command, env={**os.environ, **SETTINGS}, stdout=words, stderr=words, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise PortError(
                f"expected tf2onnx to finish {request['name']} in {timeout:.0f} s, ended it then"
            ) from error
    if done.returncode:
        raise _failure(request, done.returncode, log.read_text(encoding="utf-8", errors="replace"))


def _failure(request: Mapping[str, Any], code: int, log: str) -> PortError:
    """Return the error of a worker that ended with a code: negative for a signal, positive for an exception."""
    bound = f"{request['memory_bytes'] / 2**30:.1f} GiB"
    last = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "no word")[:SHOWN]
    if code < 0 or any(sign in log for sign in OUT_OF_MEMORY):
        how = signal.Signals(-code).name if code < 0 else "MemoryError"
        return PortError(
            f"expected tf2onnx to convert {request['name']} within {bound} of memory, found it ended by {how} "
            f"({last}); use the direct route to ONNX"
        )
    return LoweringError(f"tf2onnx could not convert {request['name']}: {last}; use the direct route to ONNX")
