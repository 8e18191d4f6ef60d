"""Opening and reading cost what is asked for, not what the file holds. The files are sparse: 1 GiB without a disk."""

import gc
import mmap
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

import ml_dtypes
import numpy as np
import pytest

from lwmport.checkpoints.layers import LayeredWeights
from lwmport.checkpoints.layout import Layout
from lwmport.checkpoints.lazy.layers import Part
from lwmport.checkpoints.lazy.layouts import Relaid
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.writers import msgpack as msgpack_writer
from lwmport.checkpoints.writers.base import Sink
from lwmport.checkpoints.writers.write import WRITERS, write_checkpoint
from lwmport.types import Array, WeightSpec

GIB = 1 << 30
TENSOR = 1 << 22


class SparseSink(Sink):
    """Steps over the payloads instead of writing them."""

    def pour_parts(self, _name: str, parts: Iterable[tuple[bytes, int]]) -> None:
        for before, length in parts:
            self.write(before)
            self._file.seek(length, 1)


@pytest.fixture(params=WRITERS)
def sparse(request: pytest.FixtureRequest, tmp_path: Path, in_memory: Callable[..., Any]) -> Path:
    """A file of each format with 1 GiB of zeros and a small tensor behind it."""
    zero = np.zeros((), np.float32)
    weights = in_memory({"a/huge": np.broadcast_to(zero, (4, GIB // 16)), "b/small": np.broadcast_to(zero, 3)})
    with (tmp_path / "it").open("wb") as file:
        sink = SparseSink(file, weights, lambda _name, _done: None)
        sink._file = file
        WRITERS[request.param](sink)
        file.truncate(max(file.tell(), file.seek(0, 2)))
    return tmp_path / "it"


def test_a_gibibyte_is_indexed_in_little_memory(sparse: Path) -> None:
    open_checkpoint(sparse)
    tracemalloc.start()
    checkpoint = open_checkpoint(sparse)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert checkpoint.total_bytes == GIB + 12
    assert peak < 1 << 20


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def mapped() -> int:
    """Bytes of address space of this process."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE


def test_one_tensor_is_mapped_and_only_what_is_touched_is_loaded(sparse: Path) -> None:
    checkpoint = open_checkpoint(sparse)
    gc.collect()
    resident_before, mapped_before = resident(), mapped()
    array = checkpoint.read("a/huge")
    assert array.shape == (4, GIB // 16)
    assert GIB <= mapped() - mapped_before < GIB + (1 << 24)
    assert float(array[1, :1000].sum()) == 0
    assert resident() - resident_before < 1 << 26
    del array
    assert mapped() - mapped_before < 1 << 24


def test_a_small_tensor_holds_no_descriptor(sparse: Path) -> None:
    checkpoint = open_checkpoint(sparse)
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    kept = [checkpoint.read("b/small") for _ in range(50)]
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files
    assert len(kept) == 50


class Made:
    """Weights that are made when they are read, and kept by nobody."""

    source: ClassVar = {"kind": "test", "description": "ones"}
    specs: ClassVar = {f"t{i}/kernel": WeightSpec(shape=(TENSOR // 4,), dtype="float32") for i in range(8)}

    def read(self, name: str) -> Array:
        return np.ones(self.specs[name].shape, np.float32)


@pytest.mark.parametrize("form", WRITERS)
def test_only_one_tensor_is_in_memory_while_writing(form: str, tmp_path: Path) -> None:
    write_checkpoint(Made(), tmp_path / "first", form)
    tracemalloc.start()
    write_checkpoint(Made(), tmp_path / "it", form)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert TENSOR < peak < 2 * TENSOR + (1 << 20)


def test_chunks_come_together(
    in_memory: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, same: Callable[..., None]
) -> None:
    monkeypatch.setattr(msgpack_writer, "MAX_CHUNK", 10)
    arrays = {"a/w": np.arange(21).reshape(7, 3).astype(ml_dtypes.bfloat16)}
    for form in ("msgpack_stream", "flax_msgpack"):
        write_checkpoint(in_memory(arrays), tmp_path / form, form)
        checkpoint = open_checkpoint(tmp_path / form)
        assert len(checkpoint.entries["a/w"].pieces) == 5
        same(checkpoint, arrays)


def anonymous() -> int:
    """Bytes of this process that no file stands behind."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


STACKS = {0: (32, 12288, 4096), 1: (12288, 32, 4096)}
LAYER = 12288 * 4096 * 2


@pytest.mark.parametrize("axis", STACKS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_layer_of_a_stack_in_chunks_costs_its_pieces(
    axis: int, dtype: str, tmp_path: Path, in_memory: Callable[..., Any]
) -> None:
    """3 GiB in chunks of 1 GiB, which begin in the middle of layers; no more than a few MiB are ever held."""
    shape = STACKS[axis]
    weights = in_memory({"h/kernel": np.broadcast_to(np.zeros((), ml_dtypes.bfloat16), shape)})
    weights.digest = lambda: ""
    with (tmp_path / "it").open("wb") as file:
        sink = SparseSink(file, weights, lambda _name, _done: None)
        sink._file = file
        WRITERS["msgpack_stream"](sink)
        file.truncate(max(file.tell(), file.seek(0, 2)))
    checkpoint = open_checkpoint(tmp_path / "it")
    assert [length for _, length in checkpoint.entries["h/kernel"].pieces] == [GIB, GIB, GIB]
    spec = {"h/10/kernel": WeightSpec(shape=(12288, 4096), dtype=dtype)}
    layers = LayeredWeights(checkpoint, spec, {"h/10/kernel": ("h/kernel", axis, 10)})
    gc.collect()
    before, peak, found = anonymous(), 0, 0
    for piece in layers.pieces("h/10/kernel"):
        found += piece.nbytes
        peak = max(peak, anonymous() - before)
    assert found == LAYER
    assert peak < 1 << 25
    assert Part(checkpoint.lazy("h/kernel"), axis, 31).read().nbytes == LAYER


def test_a_layer_inside_one_chunk_is_mapped_and_nothing_of_it_is_read(
    tmp_path: Path, in_memory: Callable[..., Any]
) -> None:
    whole = np.ones((4, 512, 1024), np.float32)
    write_checkpoint(in_memory({"h/kernel": whole}), tmp_path / "it", "msgpack_stream")
    layer = Part(open_checkpoint(tmp_path / "it").lazy("h/kernel"), 0, 2).read()
    base = layer
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base.obj if isinstance(base, memoryview) else base, mmap.mmap)


def test_a_matrix_is_turned_in_strips(tmp_path: Path, in_memory: Callable[..., Any]) -> None:
    """A transposed matrix, as Hugging Face keeps it, is read in strips too."""
    shape = (11008, 4096)
    stored = np.broadcast_to(np.zeros((), ml_dtypes.bfloat16), shape)
    write_checkpoint(in_memory({"x": stored}), tmp_path / "it", "safetensors")
    turned = Relaid(open_checkpoint(tmp_path / "it").lazy("x"), Layout(view=shape, axes=(1, 0), shape=shape[::-1]))
    gc.collect()
    before, peak = anonymous(), 0
    for _ in turned.pieces():
        peak = max(peak, anonymous() - before)
    assert peak < 1 << 25
