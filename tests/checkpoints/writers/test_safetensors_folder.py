"""Folders of safetensors files: read back by the library itself, split where asked, streamed."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file

from lwmport.checkpoints.writers.safetensors_folder import INDEX, SINGLE, Item, write_sharded
from lwmport.errors import CheckpointError
from lwmport.types import Array, WeightSpec

ARRAYS = {
    "b": np.arange(12, dtype=np.float32).reshape(3, 4),
    "a": np.arange(6, dtype=np.float16).reshape(2, 3),
    "c": np.arange(100, dtype=np.float32),
    "d": np.array(2.5, np.float32),
}


def item(name: str, array: Array, cuts: int = 3) -> Item:
    flat = array.reshape(-1)
    spec = WeightSpec(shape=array.shape, dtype=array.dtype.name)
    return Item(name=name, spec=spec, pieces=lambda: iter(np.array_split(flat, cuts)))


def items() -> list[Item]:
    return [item(name, array) for name, array in ARRAYS.items()]


def test_one_file_has_no_index(tmp_path: Path) -> None:
    assert list(write_sharded(items(), tmp_path)) == [tmp_path / SINGLE]
    found = load_file(tmp_path / SINGLE)
    assert all(np.array_equal(found[name], array) for name, array in ARRAYS.items())


def test_files_are_filled_in_order_and_indexed(tmp_path: Path) -> None:
    paths = list(write_sharded(items(), tmp_path, shard_bytes=100))
    names = [f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
    assert [path.name for path in paths] == [*names, INDEX]
    index = json.loads((tmp_path / INDEX).read_text())
    assert index["metadata"]["total_size"] == sum(array.nbytes for array in ARRAYS.values())
    assert index["weight_map"] == {"a": names[0], "b": names[0], "c": names[1], "d": names[2]}
    for name, file in index["weight_map"].items():
        assert np.array_equal(load_file(tmp_path / file)[name], ARRAYS[name])


def test_the_header_says_pytorch(tmp_path: Path) -> None:
    (path,) = write_sharded(items(), tmp_path)
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert header["__metadata__"] == {"format": "pt"}


def test_bfloat16_and_progress(tmp_path: Path) -> None:
    calls: list[tuple[str, int]] = []
    array = np.arange(6).astype(ml_dtypes.bfloat16)
    write_sharded([item("x", array, 2)], tmp_path, progress=lambda *call: calls.append(call))
    assert calls == [("x", 6), ("x", 12)]
    assert (tmp_path / SINGLE).read_bytes().endswith(array.tobytes())


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (list, "expected tensors to write"),
        (lambda: [item("x", ARRAYS["a"]), item("x", ARRAYS["b"])], "two tensors named 'x'"),
        (lambda: [item("x", np.zeros(2, np.complex128))], "dtypes that safetensors has"),
        (lambda: [short()], "x: expected 8 bytes, found 4"),
        (lambda: [wrong()], "x: expected float32, found float64"),
    ],
)
def test_what_cannot_be_written(made: Callable[[], Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=message):
        write_sharded(made(), tmp_path)


def short() -> Item:
    return Item(name="x", spec=WeightSpec(shape=(2,), dtype="float32"), pieces=lambda: iter([np.zeros(1, np.float32)]))


def wrong() -> Item:
    def pieces() -> Iterator[Array]:
        yield np.zeros(2)

    return Item(name="x", spec=WeightSpec(shape=(2,), dtype="float32"), pieces=pieces)
