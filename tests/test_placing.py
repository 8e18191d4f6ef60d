"""A set of files takes the place of an earlier one, whole, whenever the process ends; the user's files stay."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lwmport import owned, placing
from lwmport.atomic import PREFIX, new_folder
from lwmport.errors import UsageError

pytestmark = pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
"""The forks of these tests touch files and end; that another test has loaded JAX before does them no harm."""

NEW = {"model": "new", "model.data": "new data", "pictures/b.png": "new picture", "manifest.json": "new"}
OLD = {"model": "old", "model.data": "old data", "pictures/a.png": "old picture", "manifest.json": "old"}
CHANGES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.link", "ctypes.dlsym")
"""Python's audit events in front of a change of a file, and in front of the call that exchanges folders."""


def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def found(folder: Path) -> dict[str, str]:
    """Return what has its final name."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: path.read_text() for name, path in names.items() if PREFIX not in name}


def old_files(folder: Path) -> set[str]:
    """Return what a manifest of this test vouches for: the set that its word names."""
    try:
        word = (folder / "manifest.json").read_text()
    except FileNotFoundError:
        return set()
    return set(OLD if word == "old" else NEW)


def work(out: Path, **options: bool) -> None:
    with new_folder(out, last="manifest.json", owned=old_files, request="r", **options) as scratch:
        put(scratch, NEW)


def ends_at(number: int, work: Callable[[], None]) -> bool:
    """Do some work in a fork that ends at once in front of its N-th change; return whether it got so far."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    left = number

    def count(event: str, _: object) -> None:
        nonlocal left
        left -= event in CHANGES
        if not left:
            os._exit(9)

    sys.addaudithook(count)
    try:
        work()
    finally:
        os._exit(0)


def moments(work: Callable[[], None], before: Callable[[], None]) -> Iterator[int]:
    """Yield after each of the moments at which some work can end."""
    for number in range(1, 500):
        before()
        if not ends_at(number, work):
            return
        yield number
    pytest.fail("the work has no end")


def alone(function: Callable[..., None], *arguments: Any) -> None:
    """Call a function of this file in an interpreter that has loaded little: a fork of it costs little."""
    words = f"import test_placing, json, sys; test_placing.{function.__name__}(*json.loads(sys.argv[1]))"
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", words, json.dumps(arguments, default=str)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def put_anew(out: Path, files: dict[str, str]) -> None:
    shutil.rmtree(out, ignore_errors=True)
    put(out, files)


def killed_at_any_call(old: dict[str, str], foreign: dict[str, str], folder: str) -> None:
    out, count = Path(folder) / "out", 0
    for count in moments(lambda: work(out), lambda: put_anew(out, {**old, **foreign})):
        assert found(out) in ({**old, **foreign}, {**NEW, **foreign}), f"at change {count}"
        work(out)
        assert found(out) == {**NEW, **foreign}, f"at change {count}"
        assert list(Path(folder).rglob(f"{PREFIX}*")) == []
    assert count > 10


def killed_where_folders_cannot_be_exchanged(old: dict[str, str], mine: dict[str, str], folder: str) -> None:
    placing._exchange = lambda *_, **__: False
    out, count = Path(folder) / "out", 0
    for count in moments(lambda: work(out), lambda: put_anew(out, {**old, **mine})):
        state = found(out)
        if "manifest.json" in state:
            assert state in ({**old, **mine}, {**NEW, **mine}), f"at change {count}"
        work(out)
        assert found(out) == {**NEW, **mine}, f"at change {count}"
        assert list(Path(folder).rglob(f"{PREFIX}*")) == []
    assert count > 10


FOREIGN = {"nothing of the user's": {}, "files of the user's": {"notes.txt": "mine", "deep/er/x": "mine"}}


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=list(FOREIGN))
@pytest.mark.parametrize("old", [{}, OLD], ids=["a new set", "over an old set"])
def test_killed_at_any_call_the_set_is_the_old_one_or_the_new_one(
    old: dict[str, str], foreign: dict[str, str], tmp_path: Path
) -> None:
    alone(killed_at_any_call, old, foreign, tmp_path)


@pytest.mark.parametrize("old", [{}, OLD], ids=["a new set", "over an old set"])
def test_where_folders_cannot_be_exchanged_the_manifest_vouches_for_a_whole_set_or_is_not_there(
    old: dict[str, str], tmp_path: Path
) -> None:
    alone(killed_where_folders_cannot_be_exchanged, old, {"notes.txt": "mine"}, tmp_path)


IN_THE_WAY = {
    "a file of a name of ours": {"model": "mine"},
    "a file in a folder of ours": {"pictures/holiday.jpg": "mine"},
    "a file in the place of a folder of ours": {"pictures": "mine"},
    "a folder in the place of a file of ours": {"model/x": "mine"},
}


@pytest.mark.parametrize("mine", IN_THE_WAY.values(), ids=list(IN_THE_WAY))
def test_what_is_the_users_is_not_touched(mine: dict[str, str], tmp_path: Path) -> None:
    put(tmp_path, mine)
    named = next(iter(mine)).partition("/")[0]
    with pytest.raises(UsageError, match=f"found {named}"):
        work(tmp_path)
    assert found(tmp_path) == mine
    assert list(tmp_path.rglob(f"{PREFIX}*")) == []


def test_the_same_file_is_not_in_the_way(tmp_path: Path) -> None:
    put(tmp_path, {"model": "new"})
    work(tmp_path)
    assert found(tmp_path) == NEW


def test_folders_are_removed_only_when_they_are_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "_exchange", lambda *_, **__: False)
    put(tmp_path, {"old/a": "ours", "older/a": "ours", "old/b": "mine"})
    with new_folder(tmp_path, owned=lambda _: {"old/a", "older/a"}) as scratch:
        put(scratch, {"model": "new"})
    assert found(tmp_path) == {"model": "new", "old/b": "mine"}
    assert not (tmp_path / "older").exists()


def test_a_folder_that_is_stood_in_is_not_exchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "out", OLD)
    monkeypatch.chdir(tmp_path / "out")
    known = (tmp_path / "out").stat().st_ino
    work(Path())
    assert found(tmp_path / "out") == NEW
    assert (tmp_path / "out").stat().st_ino == known


def test_a_folder_of_any_other_use_is_not_exchanged(tmp_path: Path) -> None:
    put(tmp_path / "out", {"notes.txt": "mine"})
    known = (tmp_path / "out").stat().st_ino
    work(tmp_path / "out", others=False)
    assert found(tmp_path / "out") == {**NEW, "notes.txt": "mine"}
    assert (tmp_path / "out").stat().st_ino == known


def test_a_folder_in_which_another_process_is_at_work_is_not_exchanged(tmp_path: Path) -> None:
    put(tmp_path / "out", OLD)
    with new_folder(tmp_path / "out") as scratch:
        work(tmp_path / "out")
        put(scratch, {"other": "new"})
    assert found(tmp_path / "out") == {**NEW, "other": "new"}


@pytest.mark.parametrize("name", ["../precious", "/etc/precious", "pictures/../../precious"])
def test_a_record_that_names_files_outside_is_refused(name: str, tmp_path: Path) -> None:
    put(tmp_path, {"precious": "mine", "out/r.json": f'{{"format": "f", "files": {{"{name}": ""}}}}'})
    with (
        pytest.raises(UsageError, match="inside the folder"),
        new_folder(tmp_path / "out", owned=owned.Earlier(owned.listed(Path("r.json"), "f"))),
    ):
        pass
    (tmp_path / "out" / placing.PLACING).write_text(f'{{"files": {{"{name}": [[4, 1]]}}}}')
    with pytest.raises(UsageError, match="inside the folder"), new_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "precious").read_text() == "mine"
