"""Contract of every writer with its reader: a new row in `WRITERS` is tested with no new test."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lwmport.checkpoints.entry import DTYPES
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.pickle.names import CODES
from lwmport.checkpoints.reading import MAP_FROM
from lwmport.checkpoints.safetensors.index import DTYPES as SAFETENSORS_DTYPES
from lwmport.checkpoints.writers.base import PIECE
from lwmport.checkpoints.writers.write import WRITERS, write_checkpoint
from lwmport.errors import CheckpointError
from lwmport.types import Array, dtype_of


def as_stored(form: str, array: Array) -> Array:
    """A pickle for numpy alone has no bfloat16."""
    return array.astype(np.float32) if form == "pickle" and array.dtype.name not in CODES.values() else array


@pytest.mark.parametrize("form", WRITERS)
def test_what_is_written_is_read(
    form: str, arrays: dict[str, Array], in_memory: Callable[..., Any], same: Callable[..., None], tmp_path: Path
) -> None:
    write_checkpoint(in_memory(arrays), tmp_path / "it", form)
    checkpoint = open_checkpoint(tmp_path / "it")
    assert checkpoint.format == form
    same(checkpoint, {name: as_stored(form, array) for name, array in arrays.items()})


@pytest.mark.parametrize("dtype", sorted(DTYPES))
@pytest.mark.parametrize("form", WRITERS)
def test_every_dtype_survives_or_is_refused(
    form: str, dtype: Any, in_memory: Callable[..., Any], same: Callable[..., None], tmp_path: Path
) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype_of(dtype))
    weights = in_memory({"a/kernel": array})
    if form == "safetensors" and dtype not in SAFETENSORS_DTYPES.values():
        with pytest.raises(CheckpointError, match=f"a/kernel.*{dtype}"):
            write_checkpoint(weights, tmp_path / "it", form)
        assert list(tmp_path.iterdir()) == []
        return
    write_checkpoint(weights, tmp_path / "it", form)
    same(open_checkpoint(tmp_path / "it"), {"a/kernel": as_stored(form, array)})


@pytest.mark.parametrize("form", WRITERS)
def test_order_and_layout_of_the_source_change_no_byte(
    form: str, arrays: dict[str, Array], in_memory: Callable[..., Any], tmp_path: Path
) -> None:
    write_checkpoint(in_memory(arrays), tmp_path / "one", form)
    shuffled = {name: np.array(arrays[name], order="F") for name in reversed(arrays)}
    big = {name: a.astype(">f4") if a.dtype == np.float32 else a for name, a in shuffled.items()}
    write_checkpoint(in_memory(big), tmp_path / "two", form)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("form", WRITERS)
def test_a_large_tensor_is_mapped_wherever_it_lies(
    form: str, in_memory: Callable[..., Any], same: Callable[..., None], tmp_path: Path
) -> None:
    large = np.arange(MAP_FROM // 4 + 5, dtype=np.float32)
    arrays = {"a/odd": np.arange(3, dtype=np.int8), "b/large": large}
    write_checkpoint(in_memory(arrays), tmp_path / "it", form)
    same(open_checkpoint(tmp_path / "it"), arrays)


@pytest.mark.parametrize("form", WRITERS)
def test_progress_ends_at_all_bytes(form: str, in_memory: Callable[..., Any], tmp_path: Path) -> None:
    calls = []
    arrays = {"a": np.zeros(PIECE // 4 + 1, np.float32), "b": np.zeros(3, np.int32)}
    write_checkpoint(in_memory(arrays), tmp_path / "it", form, lambda name, done: calls.append((name, done)))
    assert calls == [("a", PIECE), ("a", PIECE + 4), ("b", PIECE + 16)]


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("percent", range(0, 100, 7))
def test_truncated_anywhere_is_one_clear_line(
    form: str, percent: int, in_memory: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "it"
    write_checkpoint(in_memory({"a/kernel": np.ones((9, 7), np.float32), "b": np.ones(30, np.float32)}), path, form)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * percent // 100])
    with pytest.raises(CheckpointError, match=r"truncated|empty") as error:
        open_checkpoint(path)
    assert "\n" not in str(error.value)
