"""One file of weights for several graphs: written by the first, only referred to by the next, right in every order."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import onnx
import pytest

from lwmport.converters.dialects import dialect_for
from lwmport.converters.onnx.convert import convert
from lwmport.converters.onnx.graph import GraphBuilder
from lwmport.converters.onnx.writer import INLINE_BYTES, PAGE, write_model, write_shared
from lwmport.errors import LoweringError
from lwmport.graphs.trace import trace
from lwmport.runtime.runners.onnxruntime import OnnxRuntimeRunner
from lwmport.types import Array, Component, SharedData, TensorSpec

SIZE = INLINE_BYTES // 4


def graph_of(name: str, arrays: dict[str, Array], produced: list[str] | None = None) -> tuple[GraphBuilder, Any, Any]:
    """Return a graph that adds constants to its input; those with a name that begins with ``w`` are weights."""
    graph = GraphBuilder(name, 21)
    value = start = graph.input(TensorSpec(name="x", shape=(1,), dtype="float32"))
    for key, array in arrays.items():

        def produce(key: str = key, array: Array = array) -> Array:
            if produced is not None:
                produced.append(key)
            return array

        form = (key, array.dtype.name) if key.startswith("w") else None
        added = graph.initializer(key, array.shape, array.dtype, produce, key, form)
        value = graph.node("Add", [value, added], array.shape, array.dtype)
    return graph, [start], [value]


def write(graph: tuple[GraphBuilder, Any, Any], folder: Path, shared: SharedData) -> dict[Path, str]:
    common = write_shared(graph[0], folder / shared.name, shared, lambda *_: None)
    path = folder / f"{graph[0].name}.onnx"
    return {**write_model(*graph, path, lambda *_: None, ("test", "1")), **common}


def values(path: Path) -> dict[str, Array]:
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}


def arrays_of(*names: str, size: int = SIZE) -> dict[str, Array]:
    return {name: np.full(size, ord(name[-1]), np.float32) for name in names}


def test_the_next_graph_refers_to_what_the_first_has_written(tmp_path: Path) -> None:
    shared, produced = SharedData(name="all.data"), list[str]()
    first = write(graph_of("first", arrays_of("wa", "wb", "ct")), tmp_path, shared)
    assert [path.name for path in first] == ["first.onnx", "first.onnx.data", "all.data"]
    assert shared.offsets == {("wa", "float32"): 0, ("wb", "float32"): PAGE}
    given = {**arrays_of("wb", "wc", "cu", "wa"), **arrays_of("wd", size=2)}
    second = write(graph_of("second", given, produced), tmp_path, shared)
    assert [path.name for path in second] == ["second.onnx", "second.onnx.data", "all.data"]
    assert second[tmp_path / "all.data"] == first[tmp_path / "all.data"]
    assert produced == ["wd", "wc", "cu"]
    for name, array in given.items():
        np.testing.assert_array_equal(values(tmp_path / "second.onnx")[name], array)


def test_a_graph_that_finds_nothing_there_does_not_name_the_file(tmp_path: Path) -> None:
    shared = SharedData(name="all.data")
    write(graph_of("first", arrays_of("wa")), tmp_path, shared)
    found = write(graph_of("second", arrays_of("wb")), tmp_path, shared)
    assert [path.name for path in found] == ["second.onnx", "second.onnx.data"]


def test_graphs_without_large_weights_leave_no_such_file(tmp_path: Path) -> None:
    write(graph_of("first", {**arrays_of("ca"), **arrays_of("wa", size=2)}), tmp_path, SharedData(name="all.data"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.onnx", "first.onnx.data"]


def test_a_broken_promise_leaves_nothing(tmp_path: Path) -> None:
    graph = graph_of("first", arrays_of("wa"))
    graph[0].initializer("wb", (SIZE,), np.dtype(np.float32), lambda: np.zeros(3, np.float32), "wb", ("wb",))
    with pytest.raises(LoweringError, match="for wb, found"):
        write(graph, tmp_path, SharedData(name="all.data"))
    assert list(tmp_path.iterdir()) == []


def test_a_weight_in_several_orders_and_dtypes_is_right_in_each(
    component_of: Callable[..., Component], weights_of: Any, jax_outputs: Any, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    w, x = (random.normal(size=(64, 64)).astype(np.float32) for _ in range(2))
    functions: dict[str, Callable[..., Any]] = {
        "straight": lambda x0, w: x0 @ w,
        "turned": lambda x0, w: jnp.einsum("ab,cb->ac", x0, w),
        "both": lambda x0, w: x0 @ w + jnp.einsum("ab,cb->ac", x0, w),
        "transposed": lambda x0, w: x0 @ w.T,
        "doubled": lambda x0, w: x0 @ (w + w),
        "narrow": lambda x0, w: x0 @ w.astype("float16").astype("float32"),
    }
    shared, weights = SharedData(name="all.data"), weights_of({"w": w})
    for name, function in functions.items():
        component = component_of(function, [x], {"w": w}, name=name)
        artifact = convert(trace(component), weights, dialect_for("onnx"), tmp_path, lambda *_: None, shared)
        found = OnnxRuntimeRunner(artifact.path, 1).run({"x0": x})
        np.testing.assert_allclose(found["y0"], jax_outputs(component, weights, {"x0": x})["y0"], atol=1e-4)
    assert (tmp_path / "all.data").stat().st_size == w.nbytes
