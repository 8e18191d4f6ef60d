"""Arrays, each once, and calibration data as quantizers read it."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from lwmport.errors import ArtifactError
from lwmport.handoff.arrays import array_of
from lwmport.handoff.staging import Staging
from lwmport.types import Array

ARRAYS = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "big-endian": np.arange(4, dtype=">i4"),
    "bool": np.array([True, False]),
    "scalar": np.array(7, np.int64),
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_an_array_is_written_once_and_read_as_its_record_says(array: Array, tmp_path: Path) -> None:
    staging = Staging(folder=tmp_path)
    file = staging.array("x/y", array)
    assert set(staging.contents) == {"x/y.npy"}
    loaded = np.load(tmp_path / file.npy)
    assert np.array_equal(loaded, array)
    assert np.array_equal(array_of((tmp_path / file.npy).read_bytes(), file), array)
    assert loaded.shape == array.shape == file.shape


def test_bfloat16_goes_as_float32(tmp_path: Path) -> None:
    file = Staging(folder=tmp_path).array("x", np.array([1.5, -2], ml_dtypes.bfloat16))
    assert file.dtype == "float32"
    assert np.load(tmp_path / file.npy).tolist() == [1.5, -2]


def test_calibration_is_stacked(tmp_path: Path) -> None:
    staging = Staging(folder=tmp_path)
    runs = tuple({"a": np.full((1, 2), run, np.float32), "b": np.full(3, run, np.int32)} for run in range(4))
    found = staging.calibration("calibration/m", runs)
    assert found.count == 4
    assert np.load(tmp_path / found.stacked["a"]).shape == (4, 1, 2)
    assert np.load(tmp_path / found.stacked["b"]).tolist() == [[run] * 3 for run in range(4)]
    assert set(staging.contents) == set(found.stacked.values())
    assert staging.calibration("none", ()).count == 0


def test_a_tensor_whose_name_no_system_holds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="leads out"):
        Staging(folder=tmp_path).array("../x", np.zeros(1))
    assert not list(tmp_path.iterdir())
