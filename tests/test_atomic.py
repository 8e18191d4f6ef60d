"""Files appear whole or not at all."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lwmport import atomic, placing
from lwmport.atomic import PREFIX, REQUEST, UNFINISHED, new_file, new_folder, sweep
from lwmport.errors import PortError, UsageError


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


def earlier(*names: str) -> atomic.Owned:
    return lambda _: names


def test_a_folder_replaces_what_is_ours_and_keeps_the_rest(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "pictures").mkdir(parents=True)
    (out / "pictures" / "old.png").write_bytes(b"")
    (out / "mine").mkdir()
    (out / "mine" / "notes.txt").write_text("kept")
    kept = (out / "mine" / "notes.txt").stat()
    with new_folder(out, last="manifest.json", owned=earlier("pictures/old.png")) as scratch:
        (scratch / "manifest.json").write_text("{}")
        assert not (out / "manifest.json").exists()
    assert sorted(entry.name for entry in out.iterdir()) == ["manifest.json", "mine"]
    assert (out / "mine" / "notes.txt").read_text() == "kept"
    assert (out / "mine" / "notes.txt").stat().st_ino == kept.st_ino
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


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


LINKS = {
    "unfinished work": UNFINISHED,
    "work of a dead process": f"{PREFIX}{2**22 + 5}-x",
    "the note of files": placing.PLACING,
    "a file of the set": "model",
    "a folder of the set": "pictures",
}


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("dead", [False, True])
def test_a_link_in_the_place_of_what_is_ours_is_refused(name: str, dead: bool, tmp_path: Path) -> None:  # noqa: FBT001
    elsewhere, out = tmp_path / "elsewhere", tmp_path / "out"
    (elsewhere / "sub").mkdir(parents=True)
    (elsewhere / "sub" / "precious").write_text("precious")
    out.mkdir()
    (out / LINKS[name]).symlink_to(tmp_path / "nowhere" if dead else elsewhere)
    with pytest.raises(UsageError, match="found a link"), new_folder(out, request="a") as scratch:  # noqa: PT012 - it ends
        (scratch / "pictures").mkdir()
        (scratch / "pictures" / "a.png").write_text("new")
        (scratch / "model").write_text("new")
    assert [path.name for path in elsewhere.rglob("*")] == ["sub", "precious"]
    assert [entry.name for entry in out.iterdir()] == [LINKS[name]]


def test_a_link_inside_of_unfinished_work_is_not_written_through(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    left = tmp_path / "out" / UNFINISHED
    left.mkdir(parents=True)
    (left / REQUEST).write_text("a")
    (left / "model").symlink_to(precious)
    with new_folder(tmp_path / "out", request="a") as scratch:
        (scratch / "model").write_text("new")
    assert precious.read_text() == "precious"
    assert (tmp_path / "out" / "model").read_text() == "new"


def test_a_file_at_the_end_of_a_link_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "x").symlink_to(tmp_path / "precious")
    with pytest.raises(UsageError, match="found a link"), new_file(tmp_path / "x"):
        pass
    assert (tmp_path / "precious").read_text() == "precious"
    assert (tmp_path / "x").is_symlink()


def test_a_folder_behind_a_link_is_filled_but_an_earlier_set_there_is_not_deleted(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    with new_folder(link) as scratch:
        (scratch / "model").write_text("old")
    assert (real / "model").read_text() == "old"
    with pytest.raises(UsageError, match=r"name .*real"), new_folder(link, owned=earlier("model")) as scratch:
        pass
    assert (real / "model").read_text() == "old"
    (tmp_path / "dead").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="found a link"), new_folder(tmp_path / "dead"):
        pass


def test_unfinished_work_that_can_say_nothing_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(PortError, match="No space left"), new_folder(tmp_path / "deep" / "out", request="a"):
        pass
    assert not list(tmp_path.iterdir())


def test_what_is_under_way_can_be_given_up_from_anywhere(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="No such file"), new_folder(tmp_path / "deep" / "out") as scratch:  # noqa: PT012 - it ends
        (scratch / "model").write_text("half")
        assert atomic.abandon() == []
        assert not list(tmp_path.iterdir())
        (scratch / "model").read_text()


@pytest.mark.usefixtures("_little_is_much")
def test_what_another_run_can_go_on_with_is_kept_when_work_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path, request="a") as scratch:  # noqa: PT012 - it ends
        (scratch / "x").write_text("half")
        (scratch / ".x.journal").write_text("")
        assert atomic.abandon() == [scratch]
        raise KeyboardInterrupt


@pytest.mark.parametrize("text", ["same", "other"])
def test_a_file_that_may_not_be_written_over_is_left_unless_it_is_the_same(text: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text(text)
    ending = pytest.raises(UsageError, match="found x") if text == "other" else contextlib.nullcontext()
    with ending, new_file(tmp_path / "x", over=False) as file:
        file.write(b"same")
    assert (tmp_path / "x").read_text() == text
    assert len(list(tmp_path.iterdir())) == 1
