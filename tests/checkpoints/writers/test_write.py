"""What cannot be written is refused before a byte of it is, and nothing is left behind."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lwmport.checkpoints.writers.write import WRITERS, write_checkpoint
from lwmport.errors import CheckpointError, PortError, UsageError
from lwmport.types import Array, WeightSpec


def test_a_pickle_is_loaded_by_numpy_alone_without_a_warning(
    arrays: dict[str, Array], in_memory: Callable[..., Any], tmp_path: Path
) -> None:
    write_checkpoint(in_memory(arrays), tmp_path / "it", "pickle")
    with (tmp_path / "it").open("rb") as file:
        tree = pickle.load(file)
    assert np.array_equal(tree["encoder"]["Conv_0"]["kernel"], arrays["encoder/Conv_0/kernel"])
    assert tree["encoder"]["GroupNorm_0"]["scale"].dtype == np.float32
    code = "import pickle, sys; pickle.load(sys.stdin.buffer); print(*{m.partition('.')[0] for m in sys.modules})"
    content = (tmp_path / "it").read_bytes()
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], input=content, capture_output=True, check=True)
    assert "numpy" in run.stdout.decode().split()
    assert not {"jax", "flax", "ml_dtypes", "lwmport"} & set(run.stdout.decode().split())


def test_a_pickle_names_numpy_as_version_1_and_2_know_it(in_memory: Callable[..., Any], tmp_path: Path) -> None:
    write_checkpoint(in_memory({"a": np.ones(3)}), tmp_path / "it", "pickle")
    assert b"numpy.core.multiarray" in (tmp_path / "it").read_bytes()
    assert b"numpy._core" not in (tmp_path / "it").read_bytes()


@pytest.mark.parametrize("form", WRITERS)
def test_a_failing_source_leaves_nothing_behind(form: str, in_memory: Callable[..., Any], tmp_path: Path) -> None:
    weights = in_memory({"a": np.ones(3), "b": np.ones(4)})
    weights.arrays["b"] = np.ones(5)
    before = bytes(56)  # as many as the tensors have: it may be the same file
    (tmp_path / "it").write_bytes(before)
    with pytest.raises(CheckpointError, match=r"b: expected float64 \(4,\), found float64 \(5,\)"):
        write_checkpoint(weights, tmp_path / "it", form)
    assert [path.name for path in tmp_path.iterdir()] == ["it"]
    assert (tmp_path / "it").read_bytes() == before


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("a/b", "a/b/c")])
def test_a_name_inside_another_is_refused(
    form: str, names: tuple[str, ...], in_memory: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="no part of another"):
        write_checkpoint(in_memory(dict.fromkeys(names, np.ones(2))), tmp_path / "it", form)


def test_what_is_no_number_or_nothing_at_all_is_refused(in_memory: Callable[..., Any], tmp_path: Path) -> None:
    weights = in_memory({"a": np.ones(2)})
    weights.specs["a"] = WeightSpec(shape=(2,), dtype="object")
    with pytest.raises(CheckpointError, match=r"a: expected one of bfloat16, .*found object"):
        write_checkpoint(weights, tmp_path / "it", "pickle")
    with pytest.raises(CheckpointError, match="found none"):
        write_checkpoint(in_memory({}), tmp_path / "it", "pickle")


def test_an_unknown_format_has_a_hint(in_memory: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'safetensors'"):
        write_checkpoint(in_memory({"a": np.ones(2)}), tmp_path / "it", "safetensor")


def test_a_folder_that_is_a_file_is_one_line(in_memory: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PortError, match="cannot write"):
        write_checkpoint(in_memory({"a": np.ones(2)}), tmp_path / "file" / "it", "pickle")
