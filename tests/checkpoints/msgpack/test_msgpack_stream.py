"""LWM's stream, made as LWM makes it: one packed (key, flax bytes) after another."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax
import ml_dtypes
import msgpack
import numpy as np
import pytest
from flax.serialization import to_bytes

from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.writers import msgpack as msgpack_writer
from lwmport.checkpoints.writers.write import write_checkpoint
from lwmport.errors import CheckpointError
from lwmport.types import Array

MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)


def streamed(tree: object) -> bytes:
    packer = msgpack.Packer()
    flat = flax.traverse_util.flatten_dict(tree)
    return b"".join(packer.pack((key, to_bytes(value))) for key, value in flat.items())


TRAIN_STATE = {
    "params": {"params": {"wte": {"embedding": MATRIX}, "norm": np.ones(2, np.float32)}},
    "opt_state": {"0": {"mu": {"wte": {"embedding": 2 * MATRIX}}}},
    "step": 7,
}


def test_bare_parameters(opened: Callable[[bytes], Checkpoint], same: Callable[..., None]) -> None:
    same(opened(streamed({"a": {"b": MATRIX}, "c": np.float32(1)})), {"a/b": MATRIX, "c": np.float32(1)})


def test_parameters_under_params(opened: Callable[[bytes], Checkpoint], same: Callable[..., None]) -> None:
    same(opened(streamed({"params": {"a": MATRIX}})), {"a": MATRIX})


def test_prefixes(write: Callable[[bytes], Path], same: Callable[..., None]) -> None:
    path = write(streamed({"a": MATRIX}))
    same(open_checkpoint(f"params::{path}"), {"a": MATRIX})
    with pytest.raises(CheckpointError, match="under params/params, found none; is it a params:: file"):
        open_checkpoint(f"trainstate_params::{path}")
    with pytest.raises(CheckpointError, match="expected flax_msgpack because of the prefix, found msgpack_stream"):
        open_checkpoint(f"flax_params::{path}")


def test_the_parameters_of_a_train_state(write: Callable[[bytes], Path], same: Callable[..., None]) -> None:
    path = write(streamed(TRAIN_STATE))
    checkpoint = open_checkpoint(f"trainstate_params::{path}")
    same(checkpoint, {"wte/embedding": MATRIX, "norm": np.ones(2, np.float32)})
    assert checkpoint.format == "train_state"


@pytest.mark.parametrize("prefix", ["", "params::"])
def test_a_train_state_gives_its_parameters_and_says_so(
    prefix: str, write: Callable[[bytes], Path], same: Callable[..., None]
) -> None:
    checkpoint = open_checkpoint(f"{prefix}{write(streamed(TRAIN_STATE))}")
    same(checkpoint, {"wte/embedding": MATRIX, "norm": np.ones(2, np.float32)})
    assert checkpoint.format == "train_state"
    assert "the state of the optimiser in it is left out" in str(checkpoint.source["description"])


@pytest.mark.parametrize("limit", [1 << 30, 8, 10, 3, 1])
def test_bytes_are_those_of_flax_chunks_included(
    limit: int,
    arrays: dict[str, Array],
    in_memory: Callable[..., Any],
    same: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flax.serialization, "MAX_CHUNK_SIZE", limit)
    monkeypatch.setattr(msgpack_writer, "MAX_CHUNK", limit)
    write_checkpoint(in_memory(arrays), tmp_path / "it", "msgpack_stream")
    tree = flax.traverse_util.unflatten_dict({name: arrays[name] for name in sorted(arrays)}, sep="/")
    assert (tmp_path / "it").read_bytes() == streamed(tree)
    same(open_checkpoint(tmp_path / "it"), arrays)


def test_each_value_is_read_by_flax(arrays: dict[str, Array], in_memory: Callable[..., Any], tmp_path: Path) -> None:
    write_checkpoint(in_memory(arrays), tmp_path / "it", "msgpack_stream")
    with (tmp_path / "it").open("rb") as file:
        found = {"/".join(key): flax.serialization.from_bytes(None, value) for key, value in msgpack.Unpacker(file)}
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())


def test_a_tensor_over_4_gib_is_refused_before_it_is_read(in_memory: Callable[..., Any], tmp_path: Path) -> None:
    huge = np.broadcast_to(np.zeros((), ml_dtypes.bfloat16), (1 << 20, 1 << 11))
    with pytest.raises(CheckpointError, match=r"w1/kernel: expected at most 4,294,967,295 bytes.*safetensors"):
        write_checkpoint(in_memory({"w1/kernel": huge}), tmp_path / "it", "msgpack_stream")
    assert list(tmp_path.iterdir()) == []


def pair(key: object, value: object) -> bytes:
    return msgpack.packb([key, value])


DAMAGED = {
    "no_pair": (msgpack.packb([["a"], 1]), "a pair of path and bytes at offset 0"),
    "text_key": (pair("a", to_bytes(MATRIX)), "a pair of path and bytes"),
    "number_in_key": (pair(["a", 1], to_bytes(MATRIX)), "a pair of path and bytes"),
    "text_value": (pair(["a"], "x"), "a pair of path and bytes"),
    "later": (streamed({"a": MATRIX}) + b"\x01", f"a pair of path and bytes at offset {len(streamed({'a': MATRIX}))}"),
    "twice": (2 * streamed({"a": MATRIX}), "two tensors named 'a'"),
    "empty_path": (pair([], to_bytes(MATRIX)), "expected a name"),
    "after_array": (pair(["a"], to_bytes(MATRIX) + b"\x01"), "1 bytes after the array"),
    "other_extension": (pair(["a"], msgpack.packb(msgpack.ExtType(9, b"x"))), "expected an array or a dict"),
    "complex": (pair(["a"], to_bytes({"x": 1j})[3:]), "expected an array or a dict"),
    "dict": (pair(["a"], to_bytes({"x": MATRIX})), "a: expected an array, found a dict"),
    "objects": (
        pair(["a"], msgpack.packb(msgpack.ExtType(1, msgpack.packb(((1,), "object", b"x"))))),
        "expected numbers",
    ),
    "too_short": (
        pair(["a"], msgpack.packb(msgpack.ExtType(1, msgpack.packb(((2,), "int8", b"x"))))),
        "expected 2 bytes",
    ),
    "negative": (pair(["a"], msgpack.packb(msgpack.ExtType(1, msgpack.packb(((-1,), "int8", b"x"))))), "0 or more"),
    "no_array": (pair(["a"], msgpack.packb(msgpack.ExtType(1, msgpack.packb((1, 2))))), "no flax array"),
    "in_array": (
        pair(["a"], msgpack.packb(msgpack.ExtType(1, msgpack.packb(((1,), "int8", b"x")) + b"\x01"))),
        "1 bytes after the array",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_one_clear_line(name: str, opened: Callable[[bytes], Checkpoint]) -> None:
    content, message = DAMAGED[name]
    with pytest.raises(CheckpointError, match=message) as error:
        opened(content)
    assert str(error.value).isprintable()


def chunked(**fields: object) -> bytes:
    chunk = msgpack.ExtType(1, msgpack.packb(((2,), "int8", b"xy")))
    whole = {"__msgpack_chunked_array__": True, "shape": {"0": 4}, "chunks": {"0": chunk, "1": chunk}}
    return pair(["a"], msgpack.packb(whole | fields))


CHUNKS = {
    "no_shape": (chunked(shape=None), "without its shape"),
    "gap": (chunked(shape={"0": 2, "2": 2}), "without its shape"),
    "sum": (chunked(shape={"0": 5}), "expected 5 bytes"),
    "no_chunk": (chunked(chunks={"0": 3}), "expected an array as a chunk, found an int"),
    "dtypes": (
        chunked(
            chunks={
                str(i): msgpack.ExtType(1, msgpack.packb(((2,), f"{kind}int8", b"xy")))
                for i, kind in enumerate(["", "u"])
            }
        ),
        "chunks of one dtype, found 2",
    ),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_damaged_chunks_are_one_clear_line(name: str, opened: Callable[[bytes], Checkpoint]) -> None:
    content, message = CHUNKS[name]
    with pytest.raises(CheckpointError, match=message):
        opened(content)


def test_whole_chunks_are_read(opened: Callable[[bytes], Checkpoint], same: Callable[..., None]) -> None:
    same(opened(chunked()), {"a": np.frombuffer(b"xyxy", np.int8)})
