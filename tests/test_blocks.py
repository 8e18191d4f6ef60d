"""Large files: stored and hashed beside the main thread, and gone on with from the last tensor that is known good."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lwmport import atomic, blocks, journal
from lwmport.blocks import PAGE, BlockFile
from lwmport.errors import PortError

BLOCK = 4 * PAGE
LAYOUT = {"tensors": ["a", "b", "c"]}
TENSORS = [bytes([number]) * size for number, size in enumerate((5, BLOCK, 3 * BLOCK + 7, 1, 2 * PAGE), 1)]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", BLOCK)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Return a folder that is kept after an interruption."""
    (tmp_path / atomic.REQUEST).write_text("request")
    return tmp_path


@pytest.mark.parametrize("way", ["direct", "cached"])
def test_what_is_written_arrives_with_its_digest(way: str, tmp_path: Path, monkeypatch: Any) -> None:
    if way == "cached":
        monkeypatch.setattr(os, "O_DIRECT", 0, raising=False)
    marks: list[tuple[int, str]] = []
    with BlockFile(tmp_path / "x", marked=lambda *mark: marks.append(mark)) as file:
        for tensor in TENSORS:
            file.align(64)
            file.write(tensor)
            file.mark()
    found = (tmp_path / "x").read_bytes()
    expected = b""
    for tensor in TENSORS:
        expected += bytes(-len(expected) % 64) + tensor
    assert found == expected
    assert file.sha256 == hashlib.sha256(expected).hexdigest()
    assert [sha256 for _, sha256 in marks] == [hashlib.sha256(expected[:end]).hexdigest() for end, _ in marks]
    assert len(marks) == len(TENSORS)


def test_a_file_system_that_refuses_direct_writes_is_written_through_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []
    pwrite = os.pwrite

    def refuse_once(*given: Any) -> int:
        if not refused:
            refused.append(given)
            raise OSError(22, "Invalid argument")
        return pwrite(*given)

    monkeypatch.setattr(os, "pwrite", refuse_once)
    monkeypatch.setattr(os, "O_DIRECT", getattr(os, "O_DIRECT", 0o40000), raising=False)
    with BlockFile(tmp_path / "x") as file:
        file.write(b"abc" * BLOCK)
    assert refused
    assert (tmp_path / "x").read_bytes() == b"abc" * BLOCK


def test_a_full_disk_ends_the_main_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(PortError, match=r"cannot write .*x: No space left"):
        write(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_without_a_kept_folder_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "x", stop=4)
    assert list(tmp_path.iterdir()) == []


def write(path: Path, layout: Any = None, stop: int | None = None) -> tuple[str, list[int]]:
    """Write `TENSORS`, or as many as said and then fail; return the digest and which ones were written."""
    made = []
    with journal.new_stream(path, LAYOUT if layout is None else layout) as file:
        for number, tensor in enumerate(TENSORS):
            if number == stop:
                raise KeyboardInterrupt
            if not file.skips(len(tensor)):
                made.append(number)
                file.write(tensor)
                file.mark()
    return file.sha256, made


@pytest.mark.parametrize("stop", range(1, len(TENSORS)))
def test_it_goes_on_behind_the_last_tensor_that_was_stored(stop: int, kept: Path) -> None:
    path = kept / "x"
    with pytest.raises(KeyboardInterrupt):
        write(path, stop=stop)
    done = journal.done_bytes(kept)
    sha256, made = write(path)
    assert path.read_bytes() == b"".join(TENSORS)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert made == list(range(made[0], len(TENSORS)))
    assert sum(map(len, TENSORS[: made[0]])) == done
    assert write(path)[1] == []


def test_a_whole_tensor_that_was_stored_is_not_made_again(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "IN_FLIGHT", 1)  # what was handed over is stored, however slow the disk is
    with pytest.raises(KeyboardInterrupt):
        write(kept / "x", stop=4)
    assert write(kept / "x")[1][0] >= 2


def _flip(path: Path, _: Path) -> None:
    content = bytearray(path.read_bytes())
    content[2] ^= 1
    path.write_bytes(content)


def _shorten(path: Path, _: Path) -> None:
    path.write_bytes(path.read_bytes()[:3])


def _vanish(path: Path, _: Path) -> None:
    path.unlink()


def _other_format(_: Path, lines: Path) -> None:
    lines.write_text("what is this?")


def _lie(_: Path, lines: Path) -> None:
    head, first, *rest = lines.read_text().splitlines()
    record = {**json.loads(first), "sha256": "0" * 64}
    lines.write_text("\n".join([head, json.dumps(record), *rest]))


@pytest.mark.parametrize("damage", [_flip, _shorten, _vanish, _other_format, _lie])
def test_what_does_not_hold_is_made_again(damage: Callable[[Path, Path], None], kept: Path) -> None:
    write(kept / "x")
    damage(kept / "x", kept / ".x.journal")
    assert write(kept / "x")[1] == list(range(len(TENSORS)))
    assert (kept / "x").read_bytes() == b"".join(TENSORS)


def test_a_line_cut_off_by_a_sudden_end_is_forgotten(kept: Path) -> None:
    write(kept / "x")
    lines = kept / ".x.journal"
    lines.write_text(lines.read_text()[:-30])
    assert write(kept / "x")[1] == [len(TENSORS) - 1]


def test_another_layout_starts_afresh(kept: Path) -> None:
    write(kept / "x")
    assert write(kept / "x", layout={"tensors": []})[1] == list(range(len(TENSORS)))


def test_a_file_in_a_folder_of_the_kept_one_has_its_journal_outside(kept: Path) -> None:
    (kept / "m.hf").mkdir()
    write(kept / "m.hf" / "x")
    assert [path.name for path in (kept / "m.hf").iterdir()] == ["x"]
    assert (kept / ".m.hf+x.journal").exists()
