"""Orbax's folders, written by Orbax: OCDBT, zarr and zarr 3, with and without the state of a training."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.orbax import OrbaxCheckpoint
from lwmport.errors import CheckpointError, MissingExtraError

ocp = pytest.importorskip("orbax.checkpoint")

TREE: dict[str, Any] = {
    "transformer": {
        "h": {"0": {"w": np.arange(24, dtype=np.float32).reshape(4, 3, 2)}},
        "ln.f": {"kernel": np.arange(5).astype(ml_dtypes.bfloat16)},
    },
    "scale": np.float32(2.5),
}
STATE = {"step": np.int32(3), "params": {"params": TREE}, "opt_state": [{"mu": np.zeros(3, np.float32)}]}
TREES = {"state": STATE, "parameters": TREE}
FORMS: Mapping[str, Mapping[str, bool]] = {
    "ocdbt": {"use_ocdbt": True},
    "zarr": {"use_ocdbt": False},
    "zarr3": {"use_ocdbt": True, "use_zarr3": True},
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    def save(form: str, tree: str) -> Path:
        folder = tmp_path_factory.mktemp("orbax") / form
        handler = ocp.PyTreeCheckpointHandler(**FORMS[form])
        ocp.Checkpointer(handler).save(folder, TREES[tree])
        return folder

    return save


@pytest.mark.parametrize("tree", ["state", "parameters"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_tensors(saved: Callable[[str, str], Path], form: str, tree: str) -> None:
    found = open_checkpoint(saved(form, tree))
    assert isinstance(found, OrbaxCheckpoint)
    wanted = {
        "transformer/h/0/w": TREE["transformer"]["h"]["0"]["w"],
        "transformer/ln.f/kernel": TREE["transformer"]["ln.f"]["kernel"],
        "scale": np.asarray(TREE["scale"]),
    }
    assert set(found.specs) == set(wanted)
    for name, array in wanted.items():
        read = found.read(name)
        assert (read.dtype, read.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(read, array)
        np.testing.assert_array_equal(np.concatenate(list(found.pieces(name))), array.reshape(-1))
    assert found.total_bytes == 24 * 4 + 5 * 2 + 4
    assert ("params of a train state, without 2 tensors of" in str(found.source["description"])) is (tree == "state")
    assert found.digest() == open_checkpoint(found.path).digest()


def test_a_folder_that_holds_steps_names_the_arrays(tmp_path: Path) -> None:
    manager = ocp.CheckpointManager(tmp_path / "run")
    for step in (3, 12):
        manager.save(step, args=ocp.args.StandardSave(TREE))
    manager.wait_until_finished()
    with pytest.raises(CheckpointError, match=r"the steps 3, 12 of an Orbax checkpoint; name one of them.*12/default"):
        open_checkpoint(tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"a step of an Orbax checkpoint with default; name .*3/default"):
        open_checkpoint(tmp_path / "run" / "3")
    assert len(open_checkpoint(tmp_path / "run" / "12" / "default").specs) == 3


def test_damaged_arrays_are_one_line(saved: Callable[[str, str], Path]) -> None:
    folder = saved("zarr", "parameters")
    chunk = next(path for path in folder.rglob("0.0.0"))
    found = open_checkpoint(folder)
    chunk.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(CheckpointError, match="transformer/h/0/w") as caught:
        found.read("transformer/h/0/w")
    assert "\n" not in str(caught.value)
    (folder / chunk.parent.name / ".zarray").write_text("{}")
    with pytest.raises(CheckpointError, match="cannot be read"):
        open_checkpoint(folder)


def test_a_cut_folder_is_one_line(saved: Callable[[str, str], Path]) -> None:
    folder = saved("ocdbt", "parameters")
    (folder / "manifest.ocdbt").write_bytes(b"")
    with pytest.raises(CheckpointError, match="damaged"):
        open_checkpoint(folder)


def test_without_tensorstore_the_extra_is_named(
    saved: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorstore", None)
    with pytest.raises(MissingExtraError, match=r"lwmport\[orbax\]"):
        open_checkpoint(saved("ocdbt", "parameters"))
