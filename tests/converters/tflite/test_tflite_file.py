"""The file itself: signature, metadata, buffers behind the flatbuffer, the same bytes every time, and cut ones."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from lwmport.converters.tflite import kernels, options, versions, writer
from lwmport.converters.tflite.convert import convert
from lwmport.converters.tflite.graph import GraphBuilder
from lwmport.converters.tflite.schema import schema
from lwmport.converters.tflite.writer import ALIGNMENT, INLINE_BYTES
from lwmport.errors import LoweringError, RunnerError
from lwmport.graphs.trace import trace
from lwmport.runtime.runners.litert import LiteRTRunner

RANDOM = np.random.default_rng(5)
WEIGHTS = {
    "first/kernel": RANDOM.standard_normal((40, 50)).astype(np.float32),
    "second/kernel": RANDOM.standard_normal((50, 60)).astype(np.float32),
    "second/bias": RANDOM.standard_normal(60).astype(np.float32),
}
X = RANDOM.standard_normal((3, 40)).astype(np.float32)


def network(x: Any, **weights: Any) -> tuple[Any, Any]:
    hidden = jnp.tanh(x @ weights["first/kernel"])
    return hidden, hidden @ weights["second/kernel"] + weights["second/bias"]


@pytest.fixture
def lowered(lower: Callable[..., Any]) -> Any:
    return lower(network, X, weights=WEIGHTS).agrees(rtol=1e-4, atol=1e-5)


def test_inputs_and_outputs_have_the_signatures_names(lowered: Any) -> None:
    (signature,) = lowered.model.signatureDefs
    tensors = lowered.model.subgraphs[0].tensors
    assert signature.signatureKey == b"serving_default"
    assert [(item.name, tensors[item.tensorIndex].name) for item in signature.inputs] == [(b"x0", b"x0")]
    assert [(item.name, tensors[item.tensorIndex].name) for item in signature.outputs] == [
        (b"y0", b"y0"),
        (b"y1", b"y1"),
    ]


def test_metadata_names_program_dialect_and_component(lowered: Any) -> None:
    model = lowered.model
    found = {item.name: bytes(model.buffers[item.buffer].data) for item in model.metadata}
    details = json.loads(found[b"lwmport"])
    assert (details["program"], details["dialect"]) == (lowered.program.digest, "test")
    assert details["component"] == "small"
    assert found[b"min_runtime_version"] == b"2.1.0".ljust(16, b"\0")


def test_weights_lie_behind_the_flatbuffer_aligned_and_whole(lowered: Any) -> None:
    model, data = lowered.model, lowered.artifact.path.read_bytes()
    tensors = {tensor.name.decode(): tensor for tensor in model.subgraphs[0].tensors}
    ends = []
    for name in ("first/kernel", "second/kernel"):
        tensor = next(tensor for known, tensor in tensors.items() if known.startswith(name))
        buffer = model.buffers[tensor.buffer]
        assert buffer.data is None
        assert buffer.offset % ALIGNMENT == 0
        assert buffer.size == WEIGHTS[name].nbytes
        held = np.frombuffer(data, np.float32, buffer.size // 4, buffer.offset).reshape(tensor.shape)
        np.testing.assert_array_equal(held, WEIGHTS[name].T)
        ends.append(buffer.offset + buffer.size)
    assert max(ends) == len(data)
    assert min(model.buffers[tensor.buffer].offset for tensor in tensors.values() if tensor.buffer) == 0


def test_an_embedded_dialect_keeps_weights_in_the_tables(
    component_of: Callable[..., Any],
    weights_of: Callable[..., Any],
    dialect_of: Callable[..., Any],
    tmp_path: Path,
) -> None:
    program, dialect = trace(component_of(network, [X], WEIGHTS)), replace(dialect_of({}), embedded=True)
    path = convert(program, weights_of(WEIGHTS), dialect, tmp_path, lambda *_: None).path
    data = path.read_bytes()
    model = schema.ModelT.InitFromPackedBuf(data)
    tensors = {tensor.name.decode(): tensor for tensor in model.subgraphs[0].tensors}
    assert not any(buffer.offset for buffer in model.buffers)
    for name in ("first/kernel", "second/kernel"):
        tensor = next(tensor for known, tensor in tensors.items() if known.startswith(name))
        held = bytes(model.buffers[tensor.buffer].data)
        np.testing.assert_array_equal(np.frombuffer(held, np.float32).reshape(tensor.shape), WEIGHTS[name].T)
        assert data.find(held) % ALIGNMENT == 0
    expected = network(X, **WEIGHTS)
    found = LiteRTRunner(path, threads=1).run({"x0": X})
    for name, value in zip(("y0", "y1"), expected, strict=True):
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5)
    cut = tmp_path / "cut.tflite"
    for length in (len(data) // 2, len(data) - 1):
        cut.write_bytes(data[:length])
        with pytest.raises(RunnerError, match="expected"):
            LiteRTRunner(cut, threads=1)


def test_weights_beyond_a_flatbuffer_are_refused_before_anything_is_written(
    component_of: Callable[..., Any],
    weights_of: Callable[..., Any],
    dialect_of: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "FLATBUFFER_LIMIT", 15_000)
    dialect = replace(dialect_of({}), embedded=True)
    with pytest.raises(
        LoweringError, match=r"expected at most 15000 bytes in a TFLite file.*convert a block at a time"
    ):
        convert(trace(component_of(network, [X], WEIGHTS)), weights_of(WEIGHTS), dialect, tmp_path, lambda *_: None)
    assert list(tmp_path.iterdir()) == []


def test_small_constants_lie_inside_aligned(lowered: Any) -> None:
    path = lowered.artifact.path
    data = path.read_bytes()
    small = [buffer for buffer in lowered.model.buffers if buffer.data is not None]
    assert small
    assert all(len(buffer.data) < INLINE_BYTES for buffer in small)
    bias = WEIGHTS["second/bias"].tobytes()
    assert data.find(bias) % 16 == 0


def test_weights_are_read_one_at_a_time_in_the_order_of_use(
    component_of: Callable[..., Any],
    weights_of: Callable[..., Any],
    dialect_of: Callable[..., Any],
    tmp_path: Path,
) -> None:
    held, seen = weights_of(WEIGHTS), []
    program = trace(component_of(network, [X], WEIGHTS))
    convert(program, held, dialect_of({}), tmp_path / "again", lambda *step: seen.append(step))
    assert held.reads == ["second/bias", "first/kernel", "second/kernel"]
    total = WEIGHTS["first/kernel"].nbytes + WEIGHTS["second/kernel"].nbytes
    assert seen == [("first/kernel", WEIGHTS["first/kernel"].nbytes, total), ("second/kernel", total, total)]


def test_the_same_program_gives_the_same_bytes(
    component_of: Callable[..., Any],
    weights_of: Callable[..., Any],
    dialect_of: Callable[..., Any],
    tmp_path: Path,
) -> None:
    files = []
    for name in ("one", "two"):
        program = trace(component_of(network, [X], WEIGHTS))
        artifact = convert(program, weights_of(WEIGHTS), dialect_of({}), tmp_path / name, lambda *_: None)
        files.append(artifact.path.read_bytes())
    assert files[0] == files[1]


def test_a_broken_promise_leaves_no_file(
    component_of: Callable[..., Any],
    weights_of: Callable[..., Any],
    dialect_of: Callable[..., Any],
    tmp_path: Path,
) -> None:
    wrong = weights_of({**WEIGHTS, "second/kernel": WEIGHTS["second/kernel"][:, :30]})
    with pytest.raises(LoweringError, match=r"expected float32\[60, 50\] for second/kernel.*, found float32\[30, 50\]"):
        convert(trace(component_of(network, [X], WEIGHTS)), wrong, dialect_of({}), tmp_path / "wrong", lambda *_: None)
    assert not (tmp_path / "wrong").exists()


def test_a_cut_file_is_refused_wherever_it_was_cut(lowered: Any, tmp_path: Path) -> None:
    data, cut = lowered.artifact.path.read_bytes(), tmp_path / "cut.tflite"
    tables = min(buffer.offset for buffer in lowered.model.buffers if buffer.offset)
    for length in (*range(0, tables, 37), tables, len(data) // 2, len(data) - 1):
        cut.write_bytes(data[:length])
        with pytest.raises(RunnerError, match="expected"):
            LiteRTRunner(cut, threads=1)


def test_another_file_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(b"PK\3\4" * 100)
    with pytest.raises(RunnerError, match="found a file without TFL3 at byte 4"):
        LiteRTRunner(other, threads=1)
    with pytest.raises(RunnerError, match="No such file"):
        LiteRTRunner(tmp_path / "none.tflite", threads=1)


def test_an_output_that_is_an_input_a_constant_or_another_output(lower: Callable[..., Any]) -> None:
    found = lower(lambda x: (x, x + 1, x, jnp.arange(4.0)), X).agrees()
    assert found.operators == {"RESHAPE": 3, "ADD": 1}


def test_what_nobody_reads_is_left_out(lower: Callable[..., Any]) -> None:
    assert lower(lambda x, y: (x + 1, jnp.broadcast_to(y, (2, 3)) * 2), X, X[0, :3]).agrees().operators == {
        "ADD": 1,
        "BROADCAST_TO": 1,
        "MUL": 1,
        "RESHAPE": 1,
    }


def test_one_constant_serves_all_who_read_it(lower: Callable[..., Any]) -> None:
    def twice(x: Any, **weights: Any) -> Any:
        square = weights["kernel"][:, :40]
        return (x @ square) @ square

    found = lower(twice, X, weights={"kernel": RANDOM.standard_normal((40, 41)).astype(np.float32)})
    found.agrees(rtol=1e-3, atol=1e-4)
    assert len([buffer for buffer in found.model.buffers if buffer.offset]) == 1


def test_every_operator_is_one_of_the_schema_and_has_its_options() -> None:
    for op, name in options.OPTIONS.items():
        assert hasattr(schema.BuiltinOperator, op)
        assert hasattr(schema.BuiltinOptions, name)
        assert hasattr(schema, f"{name}T")


def test_every_version_has_a_first_runtime() -> None:
    assert {op for op, _ in versions.FIRST_RUNTIME} >= set(options.OPTIONS) | set(versions.FEATURES)
    assert {op for op, _ in versions.FIRST_RUNTIME} >= set(kernels.TAKES)


@pytest.mark.parametrize(
    ("op", "shapes", "dtype", "version"),
    [
        ("ADD", [(2, 3), (3,)], "float32", 1),
        ("ADD", [(2, 3), (2, 3)], "int64", 4),
        ("SUB", [(1, 2, 3, 4, 5), (5,)], "float32", 3),
        ("SUB", [(1, 2, 3, 4, 5), (1, 2, 3, 4, 5)], "float32", 1),
        ("CONV_2D", [(1, 4, 4, 6), (2, 3, 3, 6), (2,)], "float32", 1),
        ("CONV_2D", [(1, 4, 4, 6), (2, 3, 3, 3), (2,)], "float32", 6),
        ("FULLY_CONNECTED", [(2, 3), (4, 3)], "float32", 6),
        ("FULLY_CONNECTED", [(2, 3), (4, 3), (4,)], "float32", 5),
        ("TRANSPOSE", [(1, 2, 3, 4, 5), (5,)], "float32", 4),
        ("TRANSPOSE", [(1, 2), (2,)], "bool", 3),
        ("BROADCAST_TO", [(1, 2), (2,)], "float32", 2),
        ("PAD", [(1, 2, 3, 4, 5), (5, 2)], "float32", 4),
        ("ABS", [(3,)], "int32", 5),
    ],
)
def test_an_operator_has_the_lowest_version_that_knows_it(
    op: str, shapes: list[tuple[int, ...]], dtype: str, version: int
) -> None:
    graph = GraphBuilder("test")
    graph.operation(op, [graph.tensor("x", shape, dtype) for shape in shapes], shapes[0], dtype)
    assert versions.version_of(graph.operations[0]) == version


@pytest.mark.parametrize("shape", [(5, 7), (3000, 1100), (7,), ()])
def test_a_transposed_weight_is_written_in_strips(shape: tuple[int, ...]) -> None:
    array = np.asarray(np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape[::-1])).T
    strips = list(writer._strips(array))
    assert b"".join(strip.tobytes() for strip in strips) == array.tobytes()
    assert max(strip.nbytes for strip in strips) <= writer.STRIP_BYTES
    assert (len(strips) > 1) == (array.nbytes > writer.STRIP_BYTES)
