"""Names inside functions that a model carries: no reader may take a value of a function for one of the model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import onnxsim
import pytest

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.converters.dialects import DIALECTS
from lwmport.converters.onnx.convert import build, convert
from lwmport.converters.onnx.graph import GraphBuilder, bodies
from lwmport.graphs.trace import trace
from lwmport.models.families import NAMES, resolve
from lwmport.models.options import Options
from lwmport.targets.dialects import ALL_DIALECTS

ONNX = {
    name: dialect
    for name, dialect in {**DIALECTS, **ALL_DIALECTS}.items()
    if dialect.format == "onnx" and name != "tf2onnx"
}
WITH_FUNCTIONS = {"ort": {"vqgan-decoder", "vqgan-encoder"}, "cpu": {"vqgan-decoder", "vqgan-encoder"}}
"""Dialect -> the components whose models carry functions; no other does."""


def of_nodes(nodes: Any) -> Iterator[str]:
    """Yield the names that nodes give to values, those in bodies and of bodies' inputs included."""
    for node in nodes:
        yield from (value.name for value in node.outputs if value.name)
        for body in bodies(node):
            yield from (str(value.name) for value in body.inputs)
            yield from of_nodes(body)


def of_function(function: ir.Function) -> list[str]:
    return [*(str(value.name) for value in function.inputs), *of_nodes(function)]


@pytest.mark.parametrize("name", ONNX)
def test_names_inside_functions_are_nobody_elses(name: str) -> None:
    carriers = set()
    for component in every_component(static=ONNX[name].static):
        weights = SeededWeights(component.weights, 0)
        graph, inputs, _ = build(trace(component, 1 if ONNX[name].static else "dynamic"), weights, ONNX[name])
        names = [*(str(value.name) for value in inputs), *graph.initializers, *of_nodes(graph.nodes)]
        for function in graph.functions.values():
            carriers.add(component.name)
            names.extend(of_function(function))
        assert len(set(names)) == len(names), component.name
    assert carriers == WITH_FUNCTIONS.get(name, set())


def every_component(*, static: bool) -> Iterator[Any]:
    """Yield one component of each kind that a dialect may be asked for, in its smallest configuration."""
    names = ["vqgan"] if static else ["vqgan", "llama", "llama-block"]
    assert set(names) <= set(NAMES)
    for name in names:
        yield from resolve(name, "debug").components
    if static:
        for name in ("llama-prefill", "llama-decode"):
            yield from resolve(name, "debug", options=Options(max_length=16)).components


def test_a_name_that_the_model_has_already_is_not_given_again() -> None:
    graph = GraphBuilder("model", 21)
    taken = graph.constant(np.ones(2, np.float32), "Twice/x")
    x, y = ir.Value(name="x"), ir.Value(name="y")
    node = ir.node("Add", [x, x], outputs=[y])
    inner = ir.Graph([x], [y], nodes=[node], opset_imports={"": 21}, name="Twice")
    carried = graph.function(ir.Function("lwmport", "Twice", graph=inner, attributes=[]))
    later = graph.constant(np.ones(3, np.float32), "Twice/y")
    assert len({str(taken.name), str(later.name), *of_function(carried)}) == 4


@pytest.mark.parametrize("part", ["vqgan-encoder", "vqgan-decoder"])
def test_what_onnxsim_makes_of_any_batch_is_opened_and_equal(part: str, tmp_path: Path) -> None:
    (component,) = resolve(part, "debug").components
    weights = SeededWeights(component.weights, 0)
    path = convert(trace(component, "dynamic"), weights, DIALECTS["ort"], tmp_path, lambda *_: None).path
    simplified, _ = onnxsim.simplify(onnx.load(path), check_n=0)
    onnx.save(simplified, tmp_path / "simplified.onnx")
    opened = [onnxruntime.InferenceSession(str(file)) for file in (path, tmp_path / "simplified.onnx")]
    (spec,) = component.signature.inputs
    shape = [2 if isinstance(size, str) else size for size in spec.shape]
    given = {spec.name: np.asarray(np.random.default_rng(0).integers(0, 2, shape), spec.dtype)}
    ours, theirs = ([np.asarray(value) for value in session.run(None, given)] for session in opened)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(other, mine, rtol=1e-4, atol=1e-4)
