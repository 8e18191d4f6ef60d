"""safetensors, made and read by the library, and damaged by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.writers.write import write_checkpoint
from lwmport.errors import CheckpointError
from lwmport.types import Array

MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_the_library_s_files_are_read(opened: Callable[[bytes], Checkpoint], same: Callable[..., None]) -> None:
    arrays = {"model.layers.0.weight": MATRIX, "b/c": np.arange(3, dtype=np.int64), "d": np.array(1, np.float16)}
    same(opened(save(arrays, metadata={"format": "pt"})), arrays)


def test_names_stay_as_they_are(opened: Callable[[bytes], Checkpoint]) -> None:
    assert set(opened(save({"params/a": MATRIX})).specs) == {"params/a"}


def test_bytes_are_those_of_the_library(in_memory: Callable[..., Any], tmp_path: Path) -> None:
    arrays = {"b/c": np.arange(3, dtype=np.int64), "a/é": MATRIX, "a/d": MATRIX[0], "z": np.ones((0, 3), np.float32)}
    write_checkpoint(in_memory(arrays), tmp_path / "it", "safetensors")
    assert (tmp_path / "it").read_bytes() == save(arrays)


def test_the_library_reads_it(arrays: dict[str, Array], in_memory: Callable[..., Any], tmp_path: Path) -> None:
    write_checkpoint(in_memory(arrays), tmp_path / "it", "safetensors")
    found = load_file(tmp_path / "it")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())


def test_data_is_aligned(arrays: dict[str, Array], in_memory: Callable[..., Any], tmp_path: Path) -> None:
    write_checkpoint(in_memory(arrays), tmp_path / "it", "safetensors")
    starts = {name: entry.pieces[0][0] for name, entry in open_checkpoint(tmp_path / "it").entries.items()}
    assert {name: start % arrays[name].dtype.itemsize for name, start in starts.items()} == dict.fromkeys(arrays, 0)


def field(begin: object = 0, end: object = 4, dtype: object = "F32", shape: object = (1,)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def made(header: object, data: int = 4, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + bytes(data)


DAMAGED = {
    "no_json": (made(b"{nonsense"), "no JSON"),
    "no_utf8": (made(b'{"\xff":1}'), "no JSON"),
    "deep": (made(b'{"a":' + b"[" * 100_000), "no JSON"),
    "digits": (made(b'{"a":' + b"9" * 5000 + b"}"), "no JSON"),
    "twice": (made(b'{"a":1,"a":2}'), "found one twice"),
    "header_past_end": (made({"a": field()}, length=1000), "truncated"),
    "data_past_end": (made({"a": field(0, 8, shape=[2])}), "truncated: expected a file of"),
    "more_data": (made({"a": field()}, data=5), "damaged: expected a file of"),
    "overlap": (made({"a": field(), "b": field(2, 6)}, data=6), "b: damaged.*overlaps"),
    "same_place": (made({"a": field(), "b": field()}), "b: damaged.*overlaps"),
    "gap": (made({"a": field(), "b": field(6, 10)}, data=10), "b: damaged.*gap"),
    "backwards": (made({"a": field(4, 0)}), "data from 4 to 0"),
    "negative": (made({"a": field(-4, 0)}), "data from -4 to 0"),
    "size": (made({"a": field(shape=[2])}), r"a: expected 8 bytes for float32 of shape \(2,\), found 4"),
    "shape": (made({"a": field(shape=[-1])}), "0 or more"),
    "shape_type": (made({"a": field(shape=["1"])}), "0 or more"),
    "huge": (made({"a": field(shape=[1 << 62, 1 << 62])}), "fits in memory"),
    "dtype": (made({"a": field(dtype="Q4")}), "expected a dtype out of .*found 'Q4'"),
    "fields": (made({"a": {"dtype": "F32"}}), "a: damaged: expected dtype, shape and data_offsets"),
    "number": (made({"a": 3}), "a: damaged"),
    "nothing": (made({}, data=0), "expected tensors"),
    "metadata_only": (made({"__metadata__": {"format": "pt"}}, data=0), "expected tensors"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_one_clear_line(name: str, opened: Callable[[bytes], Checkpoint]) -> None:
    content, message = DAMAGED[name]
    with pytest.raises(CheckpointError, match=message) as error:
        opened(content)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("start", [b"\x80\x04", b"\x20\x3c", b"(d", b"\x92\x01", b"\x81\xa1", b"\x1f\x8b"])
def test_a_header_length_that_begins_like_another_format(start: bytes, opened: Callable[[bytes], Checkpoint]) -> None:
    header = json.dumps({"a": field()}).encode().ljust(int.from_bytes(start, "little"))
    assert opened(made(header)).format == "safetensors"


def test_a_huge_header_is_not_believed(opened: Callable[[bytes], Checkpoint]) -> None:
    with pytest.raises(CheckpointError, match="unknown format"):
        opened(made({"a": field()}, length=1 << 40))
