"""What a command loads is held against the memory that there is, before it is loaded."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from lwmport import memory
from lwmport.cli import room
from lwmport.cli.main import cli
from lwmport.errors import PortError

CONVERT = ["convert", "--component", "vqgan-decoder", "--config", "debug", "--to", "onnx"]


@pytest.mark.parametrize("limit", [800, 1500])
def test_too_few_addresses_are_one_line(limit: int, tmp_path: Path) -> None:
    code = (
        f"import resource, sys; resource.setrlimit(resource.RLIMIT_AS, ({limit} << 20, {limit} << 20));"
        "from lwmport.__main__ import main; main()"
    )
    words = [sys.executable, "-c", code, *CONVERT, "--out", str(tmp_path / "out")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == PortError.exit_code
    assert done.stderr.startswith("error: expected at least ")
    assert f"found a limit of {limit << 20:,}; raise it (ulimit -v unlimited)" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_too_little_memory_is_refused_by_what_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda: 400 << 20)
    room.check("convert", CONVERT)
    with pytest.raises(PortError, match="of free memory for convert, found 419,430,400"):
        room.check("convert", ["convert", "--to", "saved_model"])
    room.check("convert", ["convert", "--to", "saved_model", "--help"])
    monkeypatch.setattr(memory, "free_bytes", lambda: 1)
    room.check("inspect", ["inspect"])
    for command in room.LOADED:
        with pytest.raises(PortError, match="of free memory"):
            room.check(command, [command])


def test_every_command_that_is_measured_is_one() -> None:
    assert set(room.LOADED) <= set(cli.commands)


def test_a_limit_of_addresses_counts_as_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory.address_space() is None or memory.address_space() > 0
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 30, 1 << 30))
    assert memory.total_bytes() == 1 << 30
    assert (memory.free_bytes() or 0) < 1 << 30
    with pytest.raises(PortError, match="of free memory to convert it, found"):
        memory.check_free(1 << 31, "convert it")


SAID = {
    "a runtime": RuntimeError("std::bad_alloc"),
    "XLA": ValueError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes"),
    "the loader": ImportError("x.so: failed to map segment from shared object"),
    "threads": RuntimeError("can't start new thread"),
    "numpy": MemoryError("Unable to allocate 8. GiB"),
}


@pytest.mark.parametrize("name", SAID)
def test_too_little_memory_is_told_whatever_it_is_called(name: str) -> None:
    assert memory.is_out_of_memory(SAID[name])
    wrapped = RuntimeError("the model could not be run")
    wrapped.__cause__ = SAID[name]
    assert memory.is_out_of_memory(wrapped)
    assert not memory.is_out_of_memory(ValueError("odd"))
