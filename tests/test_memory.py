"""Memory is what the system says, and what a process has to itself is told from what it maps."""

import mmap
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lwmport import memory
from lwmport.memory import INTERVAL, AnonymousPeak, anonymous_bytes

SIZE = 96 * 2**20
linux = pytest.mark.skipif(anonymous_bytes() is None, reason="the system does not tell anonymous memory apart")


@linux
def test_a_peak_between_two_looks_is_seen() -> None:
    before = anonymous_bytes() or 0
    with AnonymousPeak() as found:
        held = np.ones(SIZE, np.uint8)
        time.sleep(4 * INTERVAL)
        del held
    assert (found.peak_bytes or 0) > before + SIZE / 2
    assert (anonymous_bytes() or 0) < before + SIZE / 2


@linux
def test_processes_that_were_started_count_where_they_are_asked_for() -> None:
    held = f"held = bytes(bytearray(b'x') * {SIZE}); print(flush=True); input()"
    with AnonymousPeak() as alone, AnonymousPeak(started=True) as together:
        words = [sys.executable, "-S", "-c", held]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdout.readline()  # type: ignore[union-attr]
            together._look()
            process.stdin.write(b"\n")  # type: ignore[union-attr]
    assert (together.peak_bytes or 0) > (alone.peak_bytes or 0) + SIZE / 2


@linux
def test_mapped_files_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(SIZE)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
        before = anonymous_bytes() or 0
        assert int(np.frombuffer(mapping, np.uint8).sum()) == 0
        assert (anonymous_bytes() or 0) < before + SIZE / 2


def test_elsewhere_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "STATUS", tmp_path / "none")
    with AnonymousPeak() as found:
        pass
    assert found.peak_bytes is None
    assert memory.peak_bytes() > 0


def test_the_machine_has_more_memory_than_the_process() -> None:
    assert (memory.total_bytes() or 0) > memory.peak_bytes()


V2 = ("", "memory.max", "memory.current", "inactive_file")
V1 = ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


@pytest.fixture(params=[V2, V1], ids=["version 2", "version 1"])
def group(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that describes a control group: its path, limit, use and idle file pages in MiB."""
    controller, most, now, idle = request.param
    (tmp_path / "own").write_text(f"3:cpu:/other\n{'9:memory' if controller else '0:'}:/jobs/one\n")
    (tmp_path / "meminfo").write_text("MemTotal: 99 kB\nMemAvailable: 1024000 kB\n")
    monkeypatch.setattr(memory, "GROUPS", tmp_path / "own")
    monkeypatch.setattr(memory, "GROUP_TREE", tmp_path)
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")

    def describe(path: str, limit: int | str, used: int = 0, cached: int = 0) -> None:
        folder = tmp_path / controller / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / most).write_text(f"{limit if isinstance(limit, str) else limit << 20}\n")
        (folder / now).write_text(f"{used << 20}\n")
        (folder / "memory.stat").write_text(f"anon 7\n{idle} {cached << 20}\n")

    return describe


@pytest.mark.parametrize("path", ["", "jobs", "jobs/one"])
def test_a_container_has_less_than_its_machine(path: str, group: Callable[..., None]) -> None:
    group("", "max")
    group(path, 10, used=6, cached=1)
    assert memory.total_bytes() == 10 << 20
    assert memory.free_bytes() == 5 << 20


def test_a_container_without_a_limit_has_its_machines_memory(group: Callable[..., None]) -> None:
    group("", "max", used=6)
    assert (memory.total_bytes() or 0) > 100 << 20
    assert memory.free_bytes() == 1000 << 20


def test_a_container_beyond_its_limit_has_nothing_left(group: Callable[..., None]) -> None:
    group("jobs", 10, used=12)
    assert memory.free_bytes() == 0


def test_limits_of_other_groups_do_not_count(group: Callable[..., None]) -> None:
    group("other", 10, used=6)
    assert memory.free_bytes() == 1000 << 20


def test_a_machine_that_says_nothing_has_all_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "GROUPS", tmp_path / "none")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")
    assert memory.free_bytes() == memory.total_bytes()
