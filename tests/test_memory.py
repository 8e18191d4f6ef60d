"""Memory is what the system says, and what a process has to itself is told from what it maps."""

import mmap
import time
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
