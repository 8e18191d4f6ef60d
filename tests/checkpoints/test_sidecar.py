"""What stands beside a checkpoint is believed if it is ours and belongs to that very file, and never otherwise."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.sidecar import check_free, path_beside, sidecar_of, write_beside
from lwmport.errors import UsageError
from lwmport.pipeline.checkpoint.make import Recipe, make


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "it.safetensors"
    save_file({"a": np.arange(5000, dtype=np.float32), "b": np.ones(3, np.float32)}, path)
    write_beside(open_checkpoint(path), "llama", {"theta": 5e7}, 3)
    return path


def test_it_is_named_after_its_file_and_tells_what_no_tensor_does(file: Path) -> None:
    assert path_beside(file).name == "it.safetensors.lwmport.json"
    found = sidecar_of(open_checkpoint(file))
    assert found is not None
    assert (found.family, found.config, found.seed) == ("llama", {"theta": 5e7}, 3)


@pytest.mark.parametrize("index", [0, 2500, 4999])
def test_one_of_a_file_with_other_values_is_not_believed(index: int, file: Path) -> None:
    values = np.arange(5000, dtype=np.float32)
    values[index] += 1
    save_file({"a": values, "b": np.ones(3, np.float32)}, file)
    assert sidecar_of(open_checkpoint(file)) is None


@pytest.mark.parametrize("content", ["", "[]", "{", '{"format": "lwmport-checkpoint/1"}', "x" * (2 << 20)])
def test_one_that_is_damaged_is_not_believed(content: str, file: Path) -> None:
    path_beside(file).write_text(content)
    assert sidecar_of(open_checkpoint(file)) is None


def test_one_of_another_version_is_not_believed(file: Path) -> None:
    told = json.loads(path_beside(file).read_text())
    path_beside(file).write_text(json.dumps({**told, "format": "lwmport-checkpoint/9"}))
    assert sidecar_of(open_checkpoint(file)) is None


def test_a_file_of_somebody_elses_stays(tmp_path: Path, file: Path) -> None:
    check_free(file)  # ours may be replaced
    path_beside(file).write_text("notes of mine")
    with pytest.raises(UsageError, match=r"a file of lwmport's at .*it.safetensors.lwmport.json, found another"):
        check_free(file)
    path_beside(file).unlink()
    path_beside(file).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="found another"):
        check_free(file)


@pytest.mark.parametrize("earlier", [False, True])
def test_a_checkpoint_and_what_stands_beside_it_appear_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, earlier: bool
) -> None:
    out, seen = tmp_path / "made" / "it.stream", []
    if earlier:
        out.parent.mkdir()
    rename, replace = Path.rename, Path.replace

    def watched(change: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def called(self: Path, target: Path) -> Path:
            try:
                return change(self, target)
            finally:
                seen.append({path.name for path in out.parent.iterdir() if not path.name.startswith(".")})

        return called

    monkeypatch.setattr(Path, "rename", watched(rename))
    monkeypatch.setattr(Path, "replace", watched(replace))
    make(Recipe(component="llama", config="debug"), out)
    assert sidecar_of(open_checkpoint(out)) is not None
    assert seen[-1] == {out.name, path_beside(out).name}
    assert all(names in (set(), seen[-1]) for names in seen)


def test_files_of_the_users_stay_beside_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    out = tmp_path / "it.stream"
    make(Recipe(component="llama", config="debug"), out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it.stream", "it.stream.lwmport.json", "notes.txt"]
    assert (tmp_path / "notes.txt").read_text() == "mine"
