"""A request to end is heard wherever the process is at work, and leaves nothing half-written."""

import gc
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lwmport.cli import interruption

WORK = """
import ctypes, os, pathlib, signal, subprocess, sys, threading, time
from lwmport import atomic
from lwmport.cli import interruption

interruption.listen()
out, kind = pathlib.Path(sys.argv[1]), sys.argv[2]
C = ctypes.CDLL(None)
with atomic.new_folder(out / "deep") as scratch:
    (scratch / "model").write_text("half")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(child.pid, flush=True)
    if kind == "in Python":
        time.sleep(60)
    if kind == "in a runtime":
        for _ in range(60):
            C.sleep(1)  # no code of Python's runs in this thread until it is over
            C.usleep(900000)
    if kind == "in a runtime's callback":
        ctypes.CFUNCTYPE(None)(lambda: time.sleep(60))()
        time.sleep(60)
    if kind == "swallowing":
        while True:
            try:
                time.sleep(60)
            except BaseException:
                pass
    if kind == "in a lock":
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
"""

KINDS = ("in Python", "in a runtime", "in a runtime's callback", "swallowing", "in a lock")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_request_to_end_ends_everything(kind: str, number: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WORK, str(tmp_path / "out"), kind, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    child = int(process.stdout.readline())
    process.send_signal(number)
    time.sleep(0.02)
    process.send_signal(number)  # once more, as people do
    said, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert errors == f"error: {interruption.INTERRUPTION}\n"
    assert json.loads(said) == {"status": "error", "error": interruption.INTERRUPTION, "exit_code": 128 + number}
    assert not list(tmp_path.iterdir())
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_forked_process_is_not_listened_for() -> None:
    code = (
        "import os, signal\nfrom lwmport.cli import interruption\ninterruption.listen()\nchild = os.fork()\n"
        "if not child:\n    signal.pause()\nos.kill(child, signal.SIGTERM)\n"
        "print(os.WTERMSIG(os.waitpid(child, 0)[1]), interruption.asked())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{int(signal.SIGTERM)} False\n"


class Swallowing:
    """An object whose end raises what Python prints and ignores."""

    def __init__(self, raised: BaseException) -> None:
        self.raised = raised

    def __del__(self) -> None:
        raise self.raised


@pytest.mark.parametrize(("raised", "said"), [(KeyboardInterrupt(), ""), (ValueError("odd"), "ValueError: odd")])
def test_only_a_lost_request_is_not_printed(
    raised: BaseException, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", interruption._unraisable)
    Swallowing(raised)
    gc.collect()
    found = capsys.readouterr().err
    assert (said in found) if said else not found
