"""Files of a PyTorch before 1.6: the same tensors as it reads, none of them loaded; damage is one line."""

import contextlib
import random
from pathlib import Path

import numpy as np
import pytest

from lwmport.checkpoints.opening import open_checkpoint
from lwmport.errors import CheckpointError

torch = pytest.importorskip("torch", reason="PyTorch is not installed; run: pip install 'lwmport[torch]'")

LEGACY = {"_use_new_zipfile_serialization": False}


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A module's tensors, two of them over one storage, and one in half precision."""
    path = tmp_path_factory.mktemp("legacy") / "saved.pth"
    table = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    kept = {"table": table, "row": table[1], "half": torch.arange(6).half().reshape(2, 3), "count": torch.tensor(7)}
    torch.save({**kept, **torch.nn.Linear(3, 2).state_dict()}, path, **LEGACY)
    return path.read_bytes()


def test_the_tensors_are_those_that_torch_reads(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "saved.pth"
    path.write_bytes(content)
    expected = torch.load(path, weights_only=True)
    found = open_checkpoint(path)
    assert found.format == "torch"
    assert set(found.specs) == set(expected)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(found.read(name), tensor.numpy())


def test_a_whole_state_dict_with_its_versions(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    torch.save(module.state_dict(), tmp_path / "saved", **LEGACY)
    found = open_checkpoint(tmp_path / "saved")
    assert {name: spec.shape for name, spec in found.specs.items()} == {
        name: tuple(tensor.shape) for name, tensor in module.state_dict().items()
    }


def test_cut_anywhere_is_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut"
    for length in range(1, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError) as caught:
            open_checkpoint(path)
        assert "\n" not in str(caught.value)
    path.write_bytes(content + b"more")
    with pytest.raises(CheckpointError, match="expected the end after the last storage, found 4 more bytes"):
        open_checkpoint(path)


def test_damage_is_never_another_error(content: bytes, tmp_path: Path) -> None:
    path, rng = tmp_path / "damaged", random.Random(0)  # noqa: S311 - damage, no secret
    for place in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        with contextlib.suppress(CheckpointError):
            found = open_checkpoint(path)
            for name, spec in found.specs.items():
                assert found.read(name).shape == spec.shape


def test_another_count_of_values_is_refused(content: bytes, tmp_path: Path) -> None:
    place = content.index((12).to_bytes(8, "little") + bytes(4))
    (tmp_path / "lying").write_bytes(content[:place] + (13).to_bytes(8, "little") + content[place + 8 :])
    with pytest.raises(CheckpointError, match=r"damaged: expected 12 values in the storage \d+, found 13"):
        open_checkpoint(tmp_path / "lying")
