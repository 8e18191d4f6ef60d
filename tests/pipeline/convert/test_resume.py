"""A conversion that was killed goes on where it was, and its bytes are those of an undisturbed one."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from killing import Killer, files, run_until_killed

import lwmport
from lwmport import atomic, blocks, journal
from lwmport.errors import PortError
from lwmport.models.options import Options
from lwmport.pipeline.convert import resume
from lwmport.pipeline.convert import validation as judging
from lwmport.pipeline.observer import Silent

LLAMA = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "max_sequence_length": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "vocab_size": 512,
}
REQUESTS = {
    "onnx": {"component": "vqgan-decoder", "format": "onnx", "config": "debug"},
    "hf": {"component": "llama", "format": "hf", "config": LLAMA},
    "stored": {"component": "llama", "format": "onnx", "config": LLAMA, "options": Options(store="float16")},
    "quantised": {"component": "llama", "format": "onnx", "config": LLAMA, "options": Options(quantize="w4a16")},
    "gguf": {
        "component": "llama",
        "format": "gguf",
        "config": {**LLAMA, "hidden_size": 256, "intermediate_size": 256},
        "options": Options(quantize="q4_k_m"),
        "tokenizer": "none",
    },
}
BLOCK = 1 << 14


class Listener(Silent):
    """Remembers the phases, and every name that is told with more bytes than before."""

    def __init__(self) -> None:
        self.phases: list[str] = []

    def phase(self, text: str) -> None:
        self.phases.append(text)


class Interrupter(Silent):
    """Fails when a part of the bytes is written, as an interruption or a full disk does."""

    def __init__(self, error: BaseException, part: float = 0.8) -> None:
        self.error, self.part = error, part

    def progress(self, name: str, done: int, total: int) -> None:  # noqa: ARG002 - part of the protocol
        if done > self.part * total:
            raise self.error


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", BLOCK)
    monkeypatch.setattr(atomic, "WORTH_KEEPING", 1)


def request(form: str, out: Path, **changes: Any) -> lwmport.Request:
    return lwmport.Request(**{**REQUESTS[form], "out": out, "validate": False, **changes})


def run(form: str, out: Path, part: float) -> None:
    """Run by the test below in a process of its own, which does not live to the end."""
    blocks.BLOCK = BLOCK
    lwmport.convert(request(form, out), Killer(part))


@pytest.mark.parametrize("form", REQUESTS)
def test_killed_and_started_again_gives_the_same_bytes(form: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = f"import pathlib, sys, test_resume; test_resume.run({form!r}, pathlib.Path(sys.argv[1]), 0.8)"
    run_until_killed(code, out)
    heard = Listener()
    lwmport.convert(request(form, out), heard)
    assert any(text.startswith("resume: ") for text in heard.phases)
    lwmport.convert(request(form, tmp_path / "whole"))
    assert files(out) == files(tmp_path / "whole")


def interrupted(form: str, out: Path, error: BaseException, **changes: Any) -> int:
    """Convert until an error ends it; return how many bytes the journals say are done."""
    with pytest.raises((KeyboardInterrupt, PortError)):
        lwmport.convert(request(form, out, **changes), Interrupter(error))
    return journal.done_bytes(out / atomic.UNFINISHED)


def test_what_is_done_is_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = interrupted("hf", tmp_path / "out", KeyboardInterrupt())
    stored: list[int] = []
    pwrite = os.pwrite

    def counted(descriptor: int, view: memoryview, offset: int) -> int:
        stored.append(len(view))
        return pwrite(descriptor, view, offset)

    monkeypatch.setattr(os, "pwrite", counted)
    made = lwmport.convert(request("hf", tmp_path / "out")).manifest.components[0]
    assert done > made.files[0].bytes / 3
    assert sum(stored) <= made.files[0].bytes - done + 2 * blocks.PAGE


@pytest.mark.parametrize(("folder", "done"), [("", 3 * BLOCK), ("model", 3 * BLOCK), (".scratch", 0)])
def test_scratch_work_is_not_counted_as_done(folder: str, done: int, tmp_path: Path) -> None:
    (tmp_path / atomic.REQUEST).write_text("this")
    (tmp_path / folder).mkdir(exist_ok=True)
    with journal.new_stream(tmp_path / folder / "weights", "layout") as file:
        file.write(bytes(3 * BLOCK))
        file.mark()
    assert (tmp_path / folder / "weights").read_bytes() == bytes(3 * BLOCK)
    assert journal.done_bytes(tmp_path) == done


def test_what_a_killed_comparison_has_left_is_cleared(tmp_path: Path) -> None:
    folder = tmp_path / judging.DIRECT
    folder.mkdir()
    (folder / "old.onnx.data").write_bytes(b"left")
    with judging._scratch(folder) as scratch:
        assert list(scratch.iterdir()) == []
        (scratch / "new").write_bytes(b"now")
    assert list(tmp_path.iterdir()) == []
    assert judging.DIRECT.startswith(".")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device"), MemoryError()])
def test_what_ends_it_from_outside_keeps_what_is_done(error: BaseException, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises((KeyboardInterrupt, PortError, MemoryError)):
        lwmport.convert(request("hf", out), Interrupter(error))
    assert [entry.name for entry in out.iterdir()] == [atomic.UNFINISHED]


def test_a_little_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "WORTH_KEEPING", 1 << 26)
    interrupted("hf", tmp_path / "out", KeyboardInterrupt())
    assert list(tmp_path.iterdir()) == []


def test_a_fault_of_the_work_keeps_nothing(tmp_path: Path) -> None:
    interrupted("hf", tmp_path / "out", PortError("the checkpoint changed"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"seed": 1}, {"resume": False}, {"config": {**LLAMA, "theta": 5e7}}])
def test_another_request_starts_afresh(change: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert interrupted("hf", out, KeyboardInterrupt()) > 0
    heard = Listener()
    lwmport.convert(request("hf", out, **change), heard)
    assert not any(text.startswith("resume: ") for text in heard.phases)
    lwmport.convert(request("hf", tmp_path / "whole", **change))
    assert files(out) == files(tmp_path / "whole")


def test_a_full_disk_is_one_line_and_leaves_nothing_under_the_final_name(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(LLAMA))
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (200000, 200000));"
        "from lwmport import atomic; atomic.WORTH_KEEPING = 1;"
        "from lwmport.cli import main; sys.argv[0] = 'lwmport'; main()"
    )
    words = ["convert", "--component", "llama", "--to", "hf", "--config", str(config), "--no-validate"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "error: cannot write" in done.stderr.splitlines()[-1]
    assert "what is done is kept in" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert {entry.name for entry in (tmp_path / "out").iterdir()} <= {atomic.UNFINISHED}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_asked_to_end_it_keeps_what_a_kill_would_leave_and_says_how_to_go_on(
    number: signal.Signals, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(LLAMA))
    code = (
        "import os, sys; from lwmport import atomic, blocks; atomic.WORTH_KEEPING = 1;"
        f"blocks.BLOCK = {BLOCK}; from lwmport.cli import main; from lwmport.cli import progress;"
        "tell = progress.PlainProgress.progress;"
        "progress.PlainProgress.progress = lambda self, name, done, total:"
        f" (tell(self, name, done, total), done > 0.8 * total and os.kill(os.getpid(), {int(number)}));"
        "sys.argv[0] = 'lwmport'; main()"
    )
    words = ["convert", "--component", "llama", "--to", "hf", "--config", str(config), "--no-validate"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--out", str(tmp_path / "out"), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 128 + number, done.stderr
    said = done.stderr.splitlines()[-1]
    assert said.startswith("error: interrupted; ")
    assert said.endswith(f"are done and kept in {tmp_path / 'out'}, and the same command goes on from there")
    assert json.loads(done.stdout)["error"] == said.removeprefix("error: ")
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == [atomic.UNFINISHED]
    assert journal.done_bytes(tmp_path / "out" / atomic.UNFINISHED) > 0


def test_an_error_that_an_interruption_has_become_keeps_what_is_done(tmp_path: Path) -> None:
    class Turned(Interrupter):
        def progress(self, name: str, done: int, total: int) -> None:
            try:
                super().progress(name, done, total)
            except KeyboardInterrupt:
                raise RuntimeError("release unlocked lock")  # noqa: B904 - as the lock does

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt, match="are done and kept in"):
        lwmport.convert(request("hf", out), Turned(KeyboardInterrupt()))
    assert [entry.name for entry in out.iterdir()] == [atomic.UNFINISHED]


def test_a_link_that_leads_nowhere_is_no_fault_of_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "README.md").symlink_to(tmp_path / "blobs" / "missing")
    found = resume._weights(SimpleNamespace(path=tmp_path, specs={}, format="hf"))  # type: ignore[arg-type]
    assert list(found["files"]) == ["README.md"]
