"""Files appear whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lwmport import atomic
from lwmport.atomic import PREFIX, REQUEST, UNFINISHED, new_file, new_folder, sweep
from lwmport.errors import PortError


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.bin"
    with new_file(path) as file:
        file.write(b"abc")
        assert not path.exists()
    assert path.read_bytes() == b"abc"
    assert [entry.name for entry in path.parent.iterdir()] == ["x.bin"]


def test_a_failed_block_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), new_file(path) as file:
        file.write(bytes([1 // 0]))
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.bin"]


def test_the_usual_permissions_hold(tmp_path: Path) -> None:
    with new_file(tmp_path / "x") as file:
        file.write(b"")
    plain = tmp_path / "y"
    plain.write_bytes(b"")
    assert (tmp_path / "x").stat().st_mode == plain.stat().st_mode


def test_a_folder_replaces_its_entries_and_keeps_the_others(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "pictures").mkdir(parents=True)
    (out / "pictures" / "old.png").write_bytes(b"")
    (out / "mine.txt").write_text("kept")
    with new_folder(out, last="manifest.json") as scratch:
        (scratch / "pictures").mkdir()
        (scratch / "manifest.json").write_text("{}")
        assert not (out / "manifest.json").exists()
    assert sorted(entry.name for entry in out.iterdir()) == ["manifest.json", "mine.txt", "pictures"]
    assert not list((out / "pictures").iterdir())


def test_a_failed_folder_changes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text("old")
    with pytest.raises(ZeroDivisionError), new_folder(out, last="manifest.json") as scratch:
        (scratch / "manifest.json").write_text("new" * (1 // 0))
    assert (out / "manifest.json").read_text() == "old"
    assert len(list(out.iterdir())) == 1


def test_a_failed_new_folder_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "out"):
        raise ZeroDivisionError
    assert not (tmp_path / "out").exists()


def test_the_manifest_goes_away_first_and_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text("old")
    seen = []
    rename = Path.replace

    def watch(self: Path, target: Path) -> Path:
        seen.append((target.name, (out / "manifest.json").exists()))
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", watch)
    with new_folder(out, last="manifest.json") as scratch:
        for name in ("manifest.json", "a.onnx", "z.onnx"):
            (scratch / name).write_text("new")
    assert seen == [("a.onnx", False), ("z.onnx", False), ("manifest.json", False)]


def test_what_is_stale_goes_behind_the_manifest_and_stays_if_the_block_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, names = tmp_path / "out", ("pictures", "report.json", "none")

    def entries() -> set[str]:
        return {entry.name for entry in out.iterdir()}

    (out / "pictures").mkdir(parents=True)
    for name in ("manifest.json", "report.json", "model"):
        (out / name).write_text("old")
    old = entries()
    with pytest.raises(ZeroDivisionError), new_folder(out, last="manifest.json", stale=names) as scratch:
        (scratch / "manifest.json").write_text("new" * (1 // 0))
    assert entries() == old
    seen: list[set[str]] = []
    unlink = Path.unlink

    def watch(self: Path, *, missing_ok: bool = False) -> None:
        seen.append(entries() & {"manifest.json", "report.json", "pictures"})
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", watch)
    with new_folder(out, last="manifest.json", stale=names) as scratch:
        for name in ("manifest.json", "model"):
            (scratch / name).write_text("new")
    assert entries() == {"manifest.json", "model"}
    assert seen[:2] == [{"manifest.json", "report.json", "pictures"}, {"report.json"}]


def test_what_a_dead_process_left_is_swept_and_a_living_one_keeps_its_own(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    (tmp_path / f"{PREFIX}{int(dead.stdout)}-abc").mkdir()
    (tmp_path / f"{PREFIX}{int(dead.stdout)}-file").write_text("")
    (tmp_path / f"{PREFIX}{os.getpid()}-abc").mkdir()
    sweep(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == [f"{PREFIX}{os.getpid()}-abc"]


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PortError, match=r"cannot write .*x: No space left"), new_file(tmp_path / "x"):
        raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_a_library_that_does_not_say_why_it_could_not_write_is_asked_about_the_disk(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="64 requested and 16 written; is the disk full"), new_file(tmp_path / "x"):
        raise OSError("64 requested and 16 written")


@pytest.fixture
def _little_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "WORTH_KEEPING", 1)


def ended_by(error: BaseException, folder: Path) -> None:
    """Work on the request "a" until an error ends it."""
    with new_folder(folder, request="a") as scratch:
        (scratch / "x").write_text("half")
        (scratch / ".x.journal").write_text("")
        raise error


@pytest.mark.usefixtures("_little_is_much")
def test_unfinished_work_of_the_same_request_is_kept(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        ended_by(KeyboardInterrupt(), tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == [UNFINISHED]
    with new_folder(tmp_path, request="a") as scratch:
        assert (scratch / "x").read_text() == "half"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


@pytest.mark.usefixtures("_little_is_much")
@pytest.mark.parametrize("change", [{"request": "b"}, {"fresh": True}])
def test_unfinished_work_of_another_request_is_deleted(change: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        ended_by(KeyboardInterrupt(), tmp_path)
    with new_folder(tmp_path, **{"request": "a", **change}) as scratch:
        assert [entry.name for entry in scratch.iterdir()] == [REQUEST]
    assert list(tmp_path.iterdir()) == []


def test_a_little_work_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        ended_by(KeyboardInterrupt(), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_little_is_much")
def test_what_failed_by_its_own_fault_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(PortError):
        ended_by(PortError("expected another model"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_work_on_one_request(tmp_path: Path) -> None:
    with new_folder(tmp_path, request="a"), pytest.raises(PortError, match="expected to be alone at work in"):
        ended_by(KeyboardInterrupt(), tmp_path)
    assert list(tmp_path.iterdir()) == []
