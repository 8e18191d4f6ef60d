from pathlib import Path

import pytest

from lwmport import processors


@pytest.fixture
def cpuinfo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    file = tmp_path / "cpuinfo"
    monkeypatch.setattr(processors, "Path", lambda _: file)
    return file


def test_the_first_line_of_an_entry_is_told(cpuinfo: Path) -> None:
    cpuinfo.write_text("processor : 0\nmodel name : A\nflags : fma avx\nprocessor : 1\nmodel name : B\n")
    assert processors.described("model name") == "A"
    assert processors.described("flags") == "fma avx"
    assert processors.described("absent") == ""


def test_where_linux_tells_nothing_nothing_is_told(cpuinfo: Path) -> None:
    assert not cpuinfo.exists()
    assert processors.described("model name") is None
