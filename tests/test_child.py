import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from lwmport import child, memory
from lwmport.child import Bounds, call
from lwmport.errors import ChildError, RunnerError, UsageError
from lwmport.processors import processors

BOUNDS = Bounds(seconds=30, nbytes=1 << 30)


def echo(**given: Any) -> Any:
    sys.stdout.write("a runtime's own words\n")
    return given


def refuse(text: str) -> None:
    raise UsageError(text)


def die(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(60)


def take(count: int) -> int:
    return len(bytearray(count))


def mapped(path: Path) -> int:
    return len(np.memmap(path, np.uint8, "r"))


def forever(path: Path) -> None:
    started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    path.write_text(f"{os.getpid()} {started.pid}")
    while True:
        pass


def raises_anything() -> None:
    raise ZeroDivisionError("by\nnothing")


def fills_the_disk(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2 << 30)


def are_gone(path: Path) -> bool:
    pids = [int(pid) for pid in path.read_text().split()]
    deadline = time.monotonic() + 30
    while not all(map(is_gone, pids)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return len(pids) == 2 and all(map(is_gone, pids))


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in {"Z", "X"}


def test_values_come_back_as_they_are() -> None:
    given = {
        "array": np.arange(6, dtype=np.int64).reshape(2, 3).T,
        "brain": np.asarray([1.5, -2], ml_dtypes.bfloat16),
        "empty": np.zeros((0, 3), np.float32),
        "scalar": np.float32(2.5),
        "texts": np.asarray(["a", "ü"], object),
        "nested": [{"path": Path("a/b"), "pair": (1, None, True)}, float("inf")],
        "$": "no mark of ours",
    }
    found, said = call(echo, given, BOUNDS, "an echo")
    assert said == "a runtime's own words\n"
    assert list(found) == list(given)
    for name in ("array", "brain", "empty", "scalar", "texts"):
        assert found[name].dtype == np.asarray(given[name]).dtype
        np.testing.assert_array_equal(found[name], given[name])
    assert found["nested"] == given["nested"]
    assert found["$"] == given["$"]


def test_what_has_no_form_is_refused_before_a_child_is_started() -> None:
    with pytest.raises(TypeError, match="found object"):
        call(echo, {"x": object()}, BOUNDS, "an echo")


def test_an_error_of_ours_is_the_same_in_the_parent() -> None:
    with pytest.raises(UsageError, match=r"^expected a, found b$"):
        call(refuse, {"text": "expected a, found b"}, BOUNDS, "a refusal")


def test_another_error_is_one_line_of_ours() -> None:
    with pytest.raises(ChildError, match=r"^expected the work to end, found ZeroDivisionError: by nothing$"):
        call(raises_anything, {}, BOUNDS, "the work")


@pytest.mark.parametrize("number", [signal.SIGFPE, signal.SIGSEGV, signal.SIGABRT])
def test_a_child_that_dies_costs_one_line_with_the_signal(number: signal.Signals) -> None:
    with pytest.raises(ChildError, match=f"expected the work to end, found it killed by {number.name}") as told:
        call(die, {"number": int(number)}, BOUNDS, "the work")
    assert told.value.cause == "signal"
    assert isinstance(told.value, RunnerError)
    assert "\n" not in str(told.value)


def test_memory_is_bounded() -> None:
    assert call(take, {"count": 1 << 20}, BOUNDS, "the work").value == 1 << 20
    with pytest.raises(ChildError, match=r"at most 1,073,741,824 bytes.*LWMPORT_BYTES") as told:
        call(take, {"count": 2 << 30}, BOUNDS, "the work")
    assert told.value.cause == "memory"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no memory is bounded")
def test_weights_that_are_mapped_are_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    with path.open("wb") as file:
        file.truncate(4 << 30)
    assert call(mapped, {"path": path}, BOUNDS, "the work").value == 4 << 30


def test_a_killed_child_counts_as_out_of_memory() -> None:
    with pytest.raises(ChildError, match="takes more") as told:
        call(die, {"number": int(signal.SIGKILL)}, BOUNDS, "the work")
    assert told.value.cause == "memory"


def test_files_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(ChildError, match="File too large"):
        call(fills_the_disk, {"path": tmp_path / "file"}, BOUNDS, "the work")


def test_time_is_bounded_and_all_that_was_started_ends(tmp_path: Path) -> None:
    with pytest.raises(ChildError, match=r"expected the work to end within 2 s.*LWMPORT_SECONDS") as told:
        call(forever, {"path": tmp_path / "pids"}, Bounds(seconds=2, nbytes=1 << 30), "the work")
    assert told.value.cause == "time"
    assert are_gone(tmp_path / "pids")


def test_an_interruption_ends_the_child_at_once(tmp_path: Path) -> None:
    def interrupt() -> None:
        while not (tmp_path / "pids").exists() or len((tmp_path / "pids").read_text().split()) < 2:
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background has it ignored
    try:
        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            call(forever, {"path": tmp_path / "pids"}, BOUNDS, "the work")
    finally:
        signal.signal(signal.SIGINT, before)
    assert are_gone(tmp_path / "pids")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the bound on processor time ends it")
def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    given = f"{{'path': Path({str(tmp_path / 'pids')!r})}}"
    words = f"import test_child as t; from pathlib import Path; t.call(t.forever, {given}, t.BOUNDS, 'x')"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    parent = subprocess.Popen([sys.executable, "-c", words], env=environment)
    while not (tmp_path / "pids").exists() or len((tmp_path / "pids").read_text().split()) < 2:
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    pid, started = map(int, (tmp_path / "pids").read_text().split())
    os.kill(started, signal.SIGKILL)  # what a child starts itself is no part of the promise
    assert are_gone(tmp_path / "pids")
    assert is_gone(pid)


def test_bounds_grow_with_the_model_and_end_with_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda: 20 << 30)
    small, large = Bounds.of(1000), Bounds.of(13 << 30)
    assert small.seconds < 60
    assert child.LEAST_BYTES < small.nbytes < child.LEAST_BYTES + child.THREAD_BYTES * (processors() + 1)
    assert large.seconds > 3600
    assert large.nbytes == (20 << 30) - child.SPARED
    monkeypatch.setenv("LWMPORT_SECONDS", "7")
    monkeypatch.setenv("LWMPORT_BYTES", "2000000000")
    assert Bounds.of(13 << 30) == Bounds(seconds=7, nbytes=2_000_000_000)
    monkeypatch.setenv("LWMPORT_SECONDS", "soon")
    with pytest.raises(UsageError, match="LWMPORT_SECONDS, found soon"):
        Bounds.of(0)
