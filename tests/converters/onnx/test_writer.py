"""The files: constants inside or page-aligned beside, the same bytes every time, and all or nothing."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest

import lwmport
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.converters.dialects import DIALECTS, dialect_for
from lwmport.converters.onnx.convert import convert
from lwmport.converters.onnx.graph import GraphBuilder
from lwmport.converters.onnx.writer import INLINE_BYTES, IR_VERSION, PAGE, write_model
from lwmport.errors import LoweringError, PortError
from lwmport.graphs.trace import trace
from lwmport.models.families import Family, resolve
from lwmport.types import Array, Artifact, TensorSpec


@pytest.fixture(scope="module")
def family() -> Family:
    return resolve("vqgan", "debug")


def converted(family: Family, folder: Path, opset: int | None = None) -> list[Artifact]:
    weights, dialect = SeededWeights(family.weights, 0), dialect_for("onnx", "onnx", opset)
    return [convert(trace(component), weights, dialect, folder, lambda *_: None) for component in family.components]


def small_graph(**arrays: Array) -> tuple[GraphBuilder, list[Any], list[Any]]:
    """Return a graph that adds constants to its input, each promised with the shape and dtype that it has."""
    graph = GraphBuilder("small", 21)
    value = start = graph.input(TensorSpec(name="x", shape=(1,), dtype="float32"))
    for name, array in arrays.items():
        added = graph.initializer(name, array.shape, array.dtype, lambda array=array: array, name)
        value = graph.node("Add", [value, added], array.shape, array.dtype)
    return graph, [start], [value]


def write(graph: tuple[GraphBuilder, list[Any], list[Any]], path: Path) -> list[Path]:
    return list(write_model(*graph, path, lambda *_: None, ("test", "1")))


def constants(path: Path) -> dict[str, onnx.TensorProto]:
    return {tensor.name: tensor for tensor in onnx.load(path, load_external_data=False).graph.initializer}


def place(tensor: onnx.TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def test_small_constants_are_inside_and_large_ones_beside(tmp_path: Path) -> None:
    limit = INLINE_BYTES // 4
    arrays = {f"c{n}": np.arange(n, dtype=np.float32) for n in (1, limit - 1, limit, 3 * limit)}
    path, data = write(small_graph(**arrays), tmp_path / "small.onnx")
    inside = {name: not tensor.external_data for name, tensor in constants(path).items()}
    assert inside == {"c1": True, f"c{limit - 1}": True, f"c{limit}": False, f"c{3 * limit}": False}
    assert data == tmp_path / "small.onnx.data"
    loaded = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array, strict=True)


def test_a_model_without_large_constants_is_one_file(tmp_path: Path) -> None:
    assert write(small_graph(c=np.ones(3, np.float32)), tmp_path / "small.onnx") == [tmp_path / "small.onnx"]
    assert [path.name for path in tmp_path.iterdir()] == ["small.onnx"]


def test_external_data_is_page_aligned_in_order_and_without_overlap(family: Family, tmp_path: Path) -> None:
    for artifact in converted(family, tmp_path):
        end = 0
        tensors = [tensor for tensor in constants(artifact.path).values() if tensor.external_data]
        for tensor in tensors:
            where = place(tensor)
            offset, length = int(where["offset"]), int(where["length"])
            assert where["location"] == f"{artifact.path.name}.data"
            assert offset % PAGE == 0
            assert end <= offset < end + PAGE
            assert length == np.prod(tensor.dims) * 4
            end = offset + length
        assert (tmp_path / f"{artifact.path.name}.data").stat().st_size == end
        assert len(tensors) > 10


def test_weights_arrive_with_every_bit(family: Family, tmp_path: Path) -> None:
    artifact = converted(family, tmp_path)[0]
    held = SeededWeights(family.weights, 0)
    kernels = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in onnx.load(artifact.path).graph.initializer
        if tensor.name.endswith("/kernel")
    }
    assert len(kernels) > 5
    for name, found in kernels.items():
        np.testing.assert_array_equal(found, held.read(name).transpose(3, 2, 0, 1), strict=True)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32", "int8", "bool"])
def test_every_dtype_can_be_external(dtype: str, tmp_path: Path) -> None:
    array = (np.arange(2048) % 2).astype(getattr(ml_dtypes, dtype, dtype))
    graph = GraphBuilder("small", 21)
    value = graph.initializer("c", array.shape, array.dtype, lambda: array)
    output = graph.node("Identity", [value], array.shape, array.dtype)
    path, _ = write((graph, [], [output]), tmp_path / "small.onnx")
    (tensor,) = onnx.load(path).graph.initializer
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(tensor).view(np.uint8), array.view(np.uint8))


def test_arrays_are_written_in_row_major_order(tmp_path: Path) -> None:
    array = np.asfortranarray(np.arange(1024, dtype=np.float32).reshape(32, 32))
    path, _ = write(small_graph(c=array), tmp_path / "small.onnx")
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(onnx.load(path).graph.initializer[0]), array)


def test_converting_again_gives_the_same_bytes(family: Family, tmp_path: Path) -> None:
    folders = [tmp_path / "first", tmp_path / "second"]
    found = [{p.name: p.read_bytes() for a in converted(family, f) for p in a.files} for f in folders]
    assert found[0] == found[1]
    assert len(found[0]) == 4


def test_other_processes_make_the_same_programs_and_bytes(family: Family, tmp_path: Path) -> None:
    found = [json.loads(process.communicate(timeout=300)[0]) for process in started(tmp_path)]
    assert len(found[0]) == 6
    assert found == [digests(tmp_path / "here", family)] * 2


def digests(folder: Path, family: Family) -> dict[str, str]:
    """Return the digest of each program and of each file."""
    programs = {component.name: trace(component).digest for component in family.components}
    files = [path for artifact in converted(family, folder) for path in artifact.files]
    return programs | {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def started(folder: Path) -> list[subprocess.Popen[str]]:
    """Start `digests` in two processes whose sets and dicts of texts are ordered differently."""
    code = "import json, pathlib, sys, test_writer as t; from lwmport.models.families import resolve;"
    code += "print(json.dumps(t.digests(pathlib.Path(sys.argv[1]), resolve('vqgan', 'debug'))))"
    path = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder / seed)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]


BROKEN: dict[str, Callable[[int], Array]] = {
    "another shape": lambda rows: np.zeros((rows, 2), np.float32),
    "transposed": lambda rows: np.zeros((3, rows), np.float32),
    "another dtype": lambda rows: np.zeros((rows, 3), np.float64),
}


@pytest.mark.parametrize("produce", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("rows", [400, 4], ids=["external", "inside"])
def test_a_broken_promise_leaves_nothing(produce: Callable[[int], Array], rows: int, tmp_path: Path) -> None:
    graph, inputs, outputs = small_graph(fine=np.ones((400, 3), np.float32))
    graph.initializer("broken", (rows, 3), np.dtype(np.float32), lambda: produce(rows))
    with pytest.raises(LoweringError, match=rf"expected float32\[{rows}, 3\] for broken, found") as caught:
        write((graph, inputs, outputs), tmp_path / "small.onnx")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_weights_that_cannot_be_read_leave_nothing(family: Family, tmp_path: Path) -> None:
    component = family.components[1]
    fewer = {name: spec for name, spec in family.weights.items() if "UpsamplingBlock_1" not in name}
    with pytest.raises(PortError):
        convert(trace(component), SeededWeights(fewer, 0), dialect_for("onnx"), tmp_path, lambda *_: None)
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_every_external_byte(family: Family, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    component, weights = family.components[1], SeededWeights(family.weights, 0)
    artifact = convert(trace(component), weights, dialect_for("onnx"), tmp_path, lambda *all_: heard.append(all_))
    total = sum(int(place(t)["length"]) for t in constants(artifact.path).values() if t.external_data)
    done = [bytes_ for _, bytes_, _ in heard]
    assert done == sorted(set(done))
    assert {of for _, _, of in heard} == {total} == {done[-1]}
    assert {name for name, _, _ in heard if not name.startswith(("constant", "ones"))} <= set(component.weights)


def test_ir_version_is_that_of_the_opsets_first_release() -> None:
    releases: dict[int, int] = {}
    for _, version, opset, *_ in onnx.helper.VERSION_TABLE:
        releases.setdefault(opset, version)
    assert {opset: releases[opset] for opset in IR_VERSION} == IR_VERSION
    for dialect in DIALECTS.values():
        low, high = dialect.opsets
        assert dialect.format != "onnx" or set(range(low, high + 1)) <= set(IR_VERSION)


@pytest.mark.parametrize("opset", [13, 21, 24])
def test_a_model_says_its_opset_ir_version_and_producer(opset: int, family: Family, tmp_path: Path) -> None:
    model = onnx.load(converted(family, tmp_path, opset)[0].path, load_external_data=False)
    assert model.ir_version == IR_VERSION[opset]
    assert [(item.domain, item.version) for item in model.opset_import] == [("", opset)]
    assert (model.producer_name, model.producer_version) == ("lwmport", lwmport.__version__)
    assert model.graph.name == "vqgan-encoder"


def test_names_are_unique_and_readable() -> None:
    graph = GraphBuilder("small", 21)
    assert [graph.unique(name) for name in ("a", "a", "a_1", "a", "b")] == ["a", "a_1", "a_1_1", "a_2", "b"]


def test_equal_constants_are_one() -> None:
    graph = GraphBuilder("small", 21)
    one = graph.constant(np.float32([1, 2]))
    assert graph.constant(np.float32([1, 2])) is one
    others = [np.float32([[1, 2]]), np.float64([1, 2]), np.float32([1, 3]), np.float32([1, -2]), np.float32([1])]
    assert len({id(graph.constant(array)) for array in others} | {id(one)}) == 6
    assert graph.constant(np.float32(0.0)) is not graph.constant(np.float32(-0.0))
