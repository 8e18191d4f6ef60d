"""One flax msgpack object, made and read by flax."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.serialization import from_bytes, to_bytes

from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.writers import msgpack as msgpack_writer
from lwmport.checkpoints.writers.write import write_checkpoint
from lwmport.errors import CheckpointError
from lwmport.types import Array

MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_a_tree_of_jax_and_numpy_arrays(write: Callable[[bytes], Path], same: Callable[..., None]) -> None:
    tree = {"a": {"b": jnp.asarray(MATRIX, jnp.bfloat16), "0": MATRIX.T}, "c": np.float32(2), "d": jnp.ones(())}
    path = write(to_bytes(tree))
    expected = {"a/b": np.asarray(tree["a"]["b"]), "a/0": MATRIX.T, "c": tree["c"], "d": np.ones((), np.float32)}
    same(open_checkpoint(path), expected)
    same(open_checkpoint(f"flax_params::{path}"), expected)


def test_a_lone_params_level_is_taken_off(opened: Callable[[bytes], Checkpoint], same: Callable[..., None]) -> None:
    same(opened(to_bytes({"params": {"a": MATRIX}})), {"a": MATRIX})


@pytest.mark.parametrize("limit", [1 << 30, 8, 5])
def test_bytes_are_those_of_flax_chunks_included(
    limit: int, arrays: dict[str, Array], in_memory: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flax.serialization, "MAX_CHUNK_SIZE", limit)
    monkeypatch.setattr(msgpack_writer, "MAX_CHUNK", limit)
    write_checkpoint(in_memory(arrays), tmp_path / "it", "flax_msgpack")
    tree = flax.traverse_util.unflatten_dict({name: arrays[name] for name in sorted(arrays)}, sep="/")
    assert (tmp_path / "it").read_bytes() == to_bytes(tree)


def test_flax_reads_it(arrays: dict[str, Array], in_memory: Callable[..., Any], tmp_path: Path) -> None:
    write_checkpoint(in_memory(arrays), tmp_path / "it", "flax_msgpack")
    found = flax.traverse_util.flatten_dict(from_bytes(None, (tmp_path / "it").read_bytes()), sep="/")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())


@pytest.mark.parametrize("width", [15, 16, 300])
def test_maps_of_every_width(width: int, in_memory: Callable[..., Any], tmp_path: Path) -> None:
    arrays = {f"t{i}": np.zeros((), np.int8) for i in range(width)}
    write_checkpoint(in_memory(arrays), tmp_path / "it", "flax_msgpack")
    assert len(open_checkpoint(tmp_path / "it").specs) == width


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (to_bytes({"a": MATRIX}) + b"\x01", "1 more bytes"),
        (to_bytes({"a": {"b": 3}}), "a/b: expected an array or a dict, found an int"),
        (to_bytes({"a": {"b": 1j}}), "a/b: expected an array or a dict, found an extension"),
        (to_bytes({"a": "text"}), "a: expected an array or a dict, found a str"),
        (b"\x81\xa1a\x80", "expected tensors"),
        (b"\x81\xc4\x01a\xc0", "expected a text as the key"),
        (b"\x82\xa1a\x80\xa1a\x80", "'a' twice"),
        (b"\x81\xa1a" * 100, "inside each other"),
        (b"\xdf\xff\xff\xff\xff" + b"\xa1a\xc0" * 10, "truncated"),
        (b"\x81\xa1a\xc1", "unknown type 0xc1"),
        (b"\x81\xa1\xff\xc0", "no UTF-8"),
        (b"\x81\xda\xff\xff" + b"a" * 70_000, "a text of at most 1024 bytes"),
    ],
)
def test_damage_is_one_clear_line(content: bytes, message: str, opened: Callable[[bytes], Checkpoint]) -> None:
    with pytest.raises(CheckpointError, match=message) as error:
        opened(content)
    assert str(error.value).isprintable()


PARAMS = {"params": {"a": {"kernel": np.ones((2, 3), np.float32)}}}
STATE = {"step": 7, "params": PARAMS, "opt_state": {"0": {"mu": np.ones(3)}}}


@pytest.mark.parametrize("prefix", ["", "trainstate_params::", "flax_params::"])
def test_a_train_state_gives_its_parameters(prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "state.msgpack"
    path.write_bytes(flax.serialization.msgpack_serialize(STATE))
    found = open_checkpoint(f"{prefix}{path}")
    assert set(found.specs) == {"a/kernel"}
    np.testing.assert_array_equal(found.read("a/kernel"), np.ones((2, 3)))
    assert "the state of the optimiser in it is left out" in str(found.source["description"])


def test_a_tree_that_is_no_train_state_is_not_taken_apart(tmp_path: Path) -> None:
    path = tmp_path / "tree.msgpack"
    tree = {"params": {"a": np.ones(2)}, "batch_stats": {"b": np.ones(3)}}
    path.write_bytes(flax.serialization.msgpack_serialize(tree))
    assert set(open_checkpoint(path).specs) == {"params/a", "batch_stats/b"}
    path.write_bytes(flax.serialization.msgpack_serialize({"a": np.ones(2)}))
    with pytest.raises(CheckpointError, match="expected a train state with params, found none"):
        open_checkpoint(f"trainstate_params::{path}")
