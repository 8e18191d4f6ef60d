"""Pickles as they really are: numpy's, JAX's, flax's, of every protocol, of today's and of yesterday's libraries."""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.errors import CheckpointError

PROTOCOLS = range(6)
DATA = Path(__file__).parents[2] / "data" / "checkpoints"
MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)
KINDS = {
    "matrix": MATRIX,
    "fortran": np.asfortranarray(MATRIX),
    "permuted": np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(1, 0, 2),
    "turned": np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1),
    "strided": np.arange(12, dtype=np.float32).reshape(2, 6)[:, ::2],
    "big_endian": MATRIX.astype(">f4"),
    "big_complex": np.array([1 + 2j], ">c8"),
    "no_axes": np.array(2.5, np.float32),
    "scalar": np.float32(2.5),
    "bfloat_scalar": ml_dtypes.bfloat16(2.5),
    "empty": np.zeros((0, 3), np.float32),
    "bfloat16": MATRIX.astype(ml_dtypes.bfloat16),
    "float8": MATRIX.astype(ml_dtypes.float8_e4m3fn),
    "bool": np.array([True, False]),
    "all_bytes": np.arange(256, dtype=np.uint8),
    "long": np.arange(5000, dtype=np.int16),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", KINDS)
def test_numpy_arrays(
    kind: str, protocol: int, opened: Callable[[bytes], Checkpoint], same: Callable[..., None]
) -> None:
    content = pickle.dumps({"a": {"kernel": KINDS[kind]}, "b": KINDS["matrix"]}, protocol)
    same(opened(content), {"a/kernel": KINDS[kind], "b": MATRIX})


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32"])
def test_jax_arrays_in_a_frozen_dict(
    dtype: Any, protocol: int, opened: Callable[[bytes], Checkpoint], same: Callable[..., None]
) -> None:
    tree = {"a": {"kernel": jnp.asarray(MATRIX, dtype)}, "b": jnp.ones((), dtype)}
    content = pickle.dumps(flax.core.freeze(tree), protocol)
    same(opened(content), {"a/kernel": np.asarray(tree["a"]["kernel"]), "b": np.asarray(tree["b"])})


def test_jax_arrays_of_the_old_class(opened: Callable[[bytes], Checkpoint], same: Callable[..., None]) -> None:
    content = pickle.dumps({"a": jnp.asarray(MATRIX)}, 2)
    old = content.replace(b"jax._src.array\n_reconstruct_array\n", b"jax._src.device_array\nreconstruct_device_array\n")
    assert old != content
    same(opened(old), {"a": MATRIX})


@pytest.mark.parametrize("path", sorted(DATA.glob("*")), ids=lambda path: path.name)
def test_files_of_jax_0_4_29_flax_0_8_4_and_numpy_1_26(path: Path, same: Callable[..., None]) -> None:
    bias = MATRIX[0].astype(ml_dtypes.bfloat16)
    same(open_checkpoint(path), {"Conv_0/kernel": MATRIX, "Conv_0/bias": bias, "scale": np.float32(3)})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_ordered_and_integer_and_shared(
    protocol: int, opened: Callable[[bytes], Checkpoint], same: Callable[..., None]
) -> None:
    tree = {"h": {0: {"w": MATRIX}, 1: {"w": MATRIX}}, "o": OrderedDict(b=MATRIX, a=MATRIX)}
    same(opened(pickle.dumps(tree, protocol)), dict.fromkeys(["h/0/w", "h/1/w", "o/a", "o/b"], MATRIX))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_more_keys_than_one_batch(protocol: int, opened: Callable[[bytes], Checkpoint]) -> None:
    assert len(opened(pickle.dumps({f"t{i}": np.float32(i) for i in range(2500)}, protocol)).specs) == 2500


def test_a_lone_params_level_is_taken_off_once(
    opened: Callable[[bytes], Checkpoint], same: Callable[..., None]
) -> None:
    same(opened(pickle.dumps({"params": {"params": {"a": MATRIX}}})), {"params/a": MATRIX})
    same(opened(pickle.dumps({"params": {"a": MATRIX}, "b": MATRIX})), {"params/a": MATRIX, "b": MATRIX})


def itself() -> dict:
    tree = {}
    tree["a"] = tree
    return tree


def deep(levels: int) -> dict:
    tree = {"a": MATRIX}
    for _ in range(levels):
        tree = {"a": tree}
    return tree


def doubling() -> dict:
    """A few hundred bytes with 2 ** 60 paths."""
    tree = {}
    for _ in range(60):
        tree = {"a": tree, "b": tree}
    return tree


REFUSED = {
    "objects": ({"a": np.array([{}], dtype=object)}, "Python objects"),
    "text": ({"a": np.array(["x"])}, "expected numbers.*U1"),
    "record": ({"a": np.zeros(2, [("x", "f4")])}, "expected numbers.*V4"),
    "date": ({"a": np.zeros(2, "M8[s]")}, "expected numbers.*M8"),
    "none": ({"a": None}, "a: expected an array or a dict, found None"),
    "number": ({"a": {"b": 3}}, "a/b: expected an array or a dict, found an int"),
    "list": ({"a": [MATRIX]}, "a: expected an array or a dict, found a list"),
    "string": ({"a": "x"}, "a: expected an array or a dict, found a text"),
    "array": (MATRIX, "expected a dict of tensors at the top"),
    "tuple": ((MATRIX,), "expected a dict of tensors at the top"),
    "key": ({(1, 2): MATRIX}, "expected a text as the key"),
    "boolean_key": ({True: MATRIX}, "expected a text as the key"),
    "same_key": ({1: MATRIX, "1": MATRIX}, "'1' twice"),
    "same_name": ({"a": {"b": MATRIX}, "a/b": MATRIX}, "two tensors named 'a/b'"),
    "long_key": ({"k" * 5000: MATRIX}, "expected a text as the key|at most"),
    "itself": (itself(), "contains itself"),
    "deep": (deep(250), "inside each other"),
    "nothing": ({}, "expected tensors"),
    "no_tensor": ({"a": {}}, "expected tensors"),
    "set": ({"a": {1}}, "refused"),
    "nameless": ({"": MATRIX}, "expected a name"),
}


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_tree_of_arrays_is_refused(case: str, protocol: int, opened: Callable[[bytes], Checkpoint]) -> None:
    tree, message = REFUSED[case]
    with pytest.raises(CheckpointError, match=message) as error:
        opened(pickle.dumps(tree, protocol))
    assert "\n" not in str(error.value)


def test_exponentially_many_paths_are_refused(opened: Callable[[bytes], Checkpoint]) -> None:
    with pytest.raises(CheckpointError, match="expected at most 100,000 dicts and tensors"):
        opened(pickle.dumps(doubling()))


def test_latin1_text_of_another_length_is_refused(opened: Callable[[bytes], Checkpoint]) -> None:
    content = pickle.dumps({"a": np.array([1, 2, 3], np.uint8)}, 2)
    with pytest.raises(CheckpointError, match="expected 3 bytes, found 2 in the text"):
        opened(content.replace(b"X\x03\x00\x00\x00\x01\x02\x03", b"X\x03\x00\x00\x00\x01\xc2\x83"))
    with pytest.raises(CheckpointError, match="expected bytes written as utf-8 text"):
        opened(content.replace(b"X\x03\x00\x00\x00\x01\x02\x03", b"X\x03\x00\x00\x00\xe2\x82\xac"))
