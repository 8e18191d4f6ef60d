"""Layers of stacked tensors, casts and layouts: equal to numpy's on the whole, read in parts, in every format."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from lwmport.checkpoints.layers import LayeredWeights, lazy_tensor
from lwmport.checkpoints.layout import Layout
from lwmport.checkpoints.lazy.layers import Part, Stack
from lwmport.checkpoints.lazy.layouts import Relaid
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.checkpoints.writers import msgpack as msgpack_writer
from lwmport.checkpoints.writers.write import WRITERS, write_checkpoint
from lwmport.errors import CheckpointError
from lwmport.types import Array, WeightSpec, dtype_of

FLOATS = ("float16", "bfloat16", "float32")


def stacked(dtype: Any = np.float32) -> Array:
    return np.random.default_rng(3).standard_normal((3, 5, 7)).astype(dtype)


def joined(pieces: Any) -> bytes:
    found = list(pieces)
    assert all(piece.ndim == 1 and piece.flags.c_contiguous for piece in found)
    return b"".join(piece.tobytes() for piece in found)


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("chunk", [1 << 30, 52, 4])
def test_a_slice_is_numpys_in_every_format_and_in_chunks(
    form: str, chunk: int, in_memory: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(msgpack_writer, "MAX_CHUNK", chunk)
    whole = stacked()
    write_checkpoint(in_memory({"a/kernel": whole}), tmp_path / "it", form)
    checkpoint = open_checkpoint(tmp_path / "it")
    for axis, size in enumerate(whole.shape):
        for index in range(size):
            found = Part(checkpoint.lazy("a/kernel"), axis, index).read()
            assert np.array_equal(found, whole.take(index, axis))
            assert found.flags.c_contiguous
            assert not found.flags.writeable
            part = Part(checkpoint.lazy("a/kernel"), axis, index)
            assert joined(part.pieces()) == whole.take(index, axis).tobytes()
            assert np.array_equal(part.rows(1, 3), whole.take(index, axis)[1:3])
    assert joined(checkpoint.pieces("a/kernel")) == whole.tobytes()


def test_long_runs_are_read_alone(in_memory: Callable[..., Any], tmp_path: Path) -> None:
    whole = np.arange(6 * 4 * 3000, dtype=np.float32).reshape(6, 4, 3000)
    write_checkpoint(in_memory({"a/kernel": whole}), tmp_path / "it", "safetensors")
    for index in range(4):
        assert np.array_equal(Part(open_checkpoint(tmp_path / "it").lazy("a/kernel"), 1, index).read(), whole[:, index])


def test_no_such_layer(in_memory: Callable[..., Any], tmp_path: Path) -> None:
    write_checkpoint(in_memory({"a/kernel": stacked()}), tmp_path / "it", "safetensors")
    for axis, index in ((0, 3), (0, -1), (3, 0)):
        with pytest.raises(CheckpointError, match="expected entry"):
            Part(open_checkpoint(tmp_path / "it").lazy("a/kernel"), axis, index).read()


def layered(arrays: Mapping[str, Array], in_memory: Callable[..., Any], **wanted: Any) -> LayeredWeights:
    weights = in_memory(arrays)
    weights.digest = lambda: "digest of the file"
    return LayeredWeights(weights, wanted["specs"], wanted.get("sources", {}))


@pytest.mark.parametrize("target", FLOATS)
@pytest.mark.parametrize("source", FLOATS)
def test_every_cast_rounds_to_nearest_even(source: str, target: str, in_memory: Callable[..., Any]) -> None:
    patterns = np.arange(1 << 16, dtype=np.uint16)
    every = patterns.view(dtype_of(source)) if source != "float32" else np.repeat(patterns, 2).view(np.float32)
    with np.errstate(invalid="ignore"):
        values = every[np.abs(every.astype(np.float64)) < 65520]
    weights = layered({"x": values}, in_memory, specs={"x": WeightSpec(shape=values.shape, dtype=target)})
    found = weights.read("x")
    assert found.dtype.name == target
    assert joined(weights.pieces("x")) == found.tobytes()
    np.testing.assert_array_equal(found.astype(np.float64), nearest(values.astype(np.float64), target))


def nearest(values: Array, dtype: str) -> Array:
    """Return the nearest value of a dtype, ties to even, by arithmetic in float64 alone."""
    bits, smallest = {"float16": (11, -24), "bfloat16": (8, -133), "float32": (24, -149)}[dtype]
    _, exponent = np.frexp(values)
    step = np.exp2(np.maximum(exponent - bits, smallest).astype(np.float64))
    return np.round(values / step) * step


@pytest.mark.parametrize("source", ["bfloat16", "float32"])
def test_what_float16_cannot_hold_is_named_with_its_value(source: str, in_memory: Callable[..., Any]) -> None:
    values = np.array([1, -70144, np.inf, np.nan, 66048], np.float32).astype(dtype_of(source))
    weights = layered({"h/wq": values}, in_memory, specs={"h/wq": WeightSpec(shape=(5,), dtype="float16")})
    with pytest.raises(CheckpointError, match=r"h/wq: .*float16 can hold, found 70144 as the largest of 2") as error:
        weights.read("h/wq")
    assert "\n" not in str(error.value)


def test_infinities_of_the_file_stay(in_memory: Callable[..., Any]) -> None:
    values = np.array([1, np.inf, -np.inf, np.nan, 65504], np.float32)
    weights = layered({"x": values}, in_memory, specs={"x": WeightSpec(shape=(5,), dtype="float16")})
    np.testing.assert_array_equal(weights.read("x").astype(np.float32), values)


def test_float32_can_be_too_large_for_bfloat16(in_memory: Callable[..., Any]) -> None:
    values = np.array([np.finfo(np.float32).max], np.float32)
    weights = layered({"x": values}, in_memory, specs={"x": WeightSpec(shape=(1,), dtype="bfloat16")})
    with pytest.raises(CheckpointError, match="bfloat16"):
        weights.read("x")


@pytest.mark.parametrize("axis", [0, 1])
def test_layers_of_a_stack_have_names_of_their_own(axis: int, in_memory: Callable[..., Any], tmp_path: Path) -> None:
    whole, table = stacked(ml_dtypes.bfloat16), np.arange(6, dtype=np.float32)
    write_checkpoint(in_memory({"s/w": np.moveaxis(whole, 0, axis), "t": table}), tmp_path / "it", "msgpack_stream")
    checkpoint = open_checkpoint(tmp_path / "it")
    specs = {f"h/{i}/w": WeightSpec(shape=(5, 7), dtype="float16") for i in range(3)}
    sources = {f"h/{i}/w": ("s/w", axis, i) for i in range(3)}
    weights = LayeredWeights(checkpoint, {**specs, "t": WeightSpec(shape=(6,), dtype="float32")}, sources)
    assert weights.digest() == checkpoint.digest()
    assert weights.source == checkpoint.source
    for i in range(3):
        assert np.array_equal(weights.read(f"h/{i}/w"), whole[i].astype(np.float16))
    assert np.array_equal(weights.read("t"), table)


@pytest.mark.parametrize(
    ("spec", "source", "message"),
    [
        (WeightSpec(shape=(5, 8), dtype="float32"), ("s", 0, 1), r"expected the shape \(5, 8\), found \(5, 7\)"),
        (WeightSpec(shape=(5, 7), dtype="float32"), ("s", 0, 3), "h: s: expected entry 3 on axis 0"),
        (WeightSpec(shape=(5, 7), dtype="float32"), ("r", 0, 0), "expected one of 1 tensors, found 'r'"),
        (WeightSpec(shape=(5, 7), dtype="int32"), ("s", 0, 0), "expected int32, found float32"),
    ],
)
def test_what_does_not_fit(
    spec: WeightSpec, source: tuple[str, int, int], message: str, in_memory: Callable[..., Any]
) -> None:
    with pytest.raises(CheckpointError, match=message):
        layered({"s": stacked()}, in_memory, specs={"h": spec}, sources={"h": source})


def test_seeded_weights_are_sliced_too() -> None:
    specs = {"scan_decoder/wq/kernel": WeightSpec(shape=(3, 40, 50), dtype="bfloat16")}
    weights = SeededWeights(specs, 5)
    wanted = {"wq": WeightSpec(shape=(40, 50), dtype="float16")}
    found = LayeredWeights(weights, wanted, {"wq": ("scan_decoder/wq/kernel", 0, 2)}).read("wq")
    assert np.array_equal(found, weights.read("scan_decoder/wq/kernel")[2].astype(np.float16))


@pytest.mark.parametrize("axis", [0, 1])
def test_a_stack_is_numpys(axis: int, in_memory: Callable[..., Any]) -> None:
    arrays = {str(i): layer for i, layer in enumerate(stacked())}
    stack = Stack([lazy_tensor(in_memory(arrays), name) for name in arrays], axis)
    expected = np.stack(list(arrays.values()), axis)
    assert np.array_equal(stack.read(), expected)
    assert joined(stack.pieces()) == expected.tobytes()
    assert np.array_equal(stack.rows(1, 3), expected[1:3])


@pytest.mark.parametrize(
    ("view", "axes", "shape"),
    [
        ((300, 500), (1, 0), (500, 300)),
        ((4, 2, 30, 90), (3, 0, 2, 1), (90, 240)),
        ((90, 4, 30, 2), (1, 3, 2, 0), (240, 90)),
        ((6, 10, 20), (0, 2, 1), (6, 200)),
        ((3, 5, 7), (2, 1, 0), (7, 5, 3)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_another_layout_is_numpys(
    view: tuple[int, ...], axes: tuple[int, ...], shape: tuple[int, ...], dtype: Any, in_memory: Callable[..., Any]
) -> None:
    stored = np.arange(np.prod(view)).reshape(view).astype(dtype)
    relaid = Relaid(lazy_tensor(in_memory({"x": stored}), "x"), Layout(view=view, axes=axes, shape=shape))
    expected = stored.transpose(axes).reshape(shape)
    assert np.array_equal(relaid.read(), expected)
    assert joined(relaid.pieces()) == expected.tobytes()
    for begin, end in ((0, 1), (2, 5), (shape[0] - 1, shape[0])):
        assert np.array_equal(relaid.rows(begin, end), expected[begin:end])
