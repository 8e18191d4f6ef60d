"""Inputs that are sizes, counts, steps, axes and indices get numbers that their operators take."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from rule_cases import FLOAT, INT64, model, node, value

from lwmport.targets.fix.test_inputs import sample, seeds_of, usual_trials, wide_trials
from lwmport.targets.fix.trials import Job, run
from lwmport.targets.graphs.onnx_file import read
from lwmport.targets.graphs.record import Graph

X = value("x", [2, 3, 4])
ODD: dict[str, tuple[list[onnx.NodeProto], list[Any], list[Any], dict[str, Any]]] = {
    "axes": ([node("ReduceSum", "x n", "y")], [X, value("n", [2], INT64)], [value("y", None)], {}),
    "computed axes": (
        [node("Add", "n one", "a"), node("ReduceSum", "x a", "y")],
        [X, value("n", [1], INT64)],
        [value("y", None)],
        {"one": np.asarray([1])},
    ),
    "shape": ([node("Reshape", "x n", "y")], [X, value("n", [2], INT64)], [value("y", [6, 4])], {}),
    "shape of parts": (
        [node("Concat", "n rest", "s", axis=0), node("Reshape", "x s", "y")],
        [X, value("n", [1], INT64)],
        [value("y", [6, 4])],
        {"rest": np.asarray([4])},
    ),
    "sizes": ([node("Resize", "x - - n", "y")], [X, value("n", [3], INT64)], [value("y", [2, 3, 8])], {}),
    "scales": ([node("Resize", "x - n", "y")], [X, value("n", [3])], [value("y", [2, 3, 8])], {}),
    "crop": ([node("CenterCropPad", "x n", "y")], [X, value("n", [3], INT64)], [value("y", None)], {}),
    "window": ([node("HannWindow", "n", "y")], [value("n", [], INT64)], [value("y", None)], {}),
    "step": (
        [node("STFT", "s n w", "y")],
        [value("s", [1, 128, 1]), value("n", [], INT64)],
        [value("y", None)],
        {"w": np.ones(16, np.float32)},
    ),
    "range": ([node("Range", "a b c", "y")], [value(name, [], INT64) for name in "abc"], [value("y", [9], INT64)], {}),
    "slice": (
        [node("Slice", "x a b c d", "y")],
        [X, *(value(name, [2], INT64) for name in "abcd")],
        [value("y", [1, 2, 4])],
        {},
    ),
    "split": (
        [node("Split", "x n", "y z", axis=1)],
        [X, value("n", [2], INT64)],
        [value("y", None), value("z", None)],
        {},
    ),
    "top": ([node("TopK", "x n", "y i")], [X, value("n", [1], INT64)], [value("y", [2, 3, 3])], {}),
    "unsqueeze": ([node("Unsqueeze", "x n", "y")], [X, value("n", [3], INT64)], [value("y", None)], {}),
    "cumulative": ([node("CumSum", "x n", "y")], [X, value("n", [], INT64)], [value("y", None)], {}),
    "divisor": (
        [node("Mod", "a n", "y")],
        [value("a", [4], INT64), value("n", [4], INT64)],
        [value("y", None, INT64)],
        {},
    ),
    "scatter": (
        [node("ScatterElements", "x n u", "y", axis=1)],
        [X, value("n", [2, 3, 4], INT64), value("u", [2, 3, 4])],
        [value("y", None)],
        {},
    ),
}


def graph_of(name: str, folder: Path) -> Graph:
    nodes, inputs, outputs, constants = ODD[name]
    path = folder / f"{name.replace(' ', '_')}.onnx"
    onnx.save(model(nodes, inputs, outputs, constants, opset=18), path)
    return read(path)


def test_every_operator_takes_the_usual_and_the_wide_inputs(tmp_path: Path) -> None:
    """All in one process: none of them dies of a step of 0, or fills the memory with a size."""
    for name in ODD:
        graph = graph_of(name, tmp_path)
        feeds = [*usual_trials(graph.inputs, graph), *wide_trials(graph.inputs, graph)]
        names = {value.name: value.name for value in graph.inputs}
        (made,) = run([Job(graph=graph, names=names, places=range(len(feeds)))], feeds)
        assert not [one for one in made if isinstance(one, Exception)], name


def test_values_that_comparisons_name_are_tried(tmp_path: Path) -> None:
    nodes = [
        node("Equal", "rate table", "is"),
        node("Cast", "is", "f", to=FLOAT),
        node("ReduceSum", "f", "n", keepdims=0),
        node("Mul", "x n", "y"),
    ]
    constants = {"table": np.asarray([8000, 16000])}
    path = tmp_path / "model.onnx"
    onnx.save(model(nodes, [X, value("rate", [], INT64)], constants=constants), path)
    graph = read(path)
    rate = next(one for one in graph.inputs if one.name == "rate")
    tried = {int(sample(rate, graph, seed)) for seed in seeds_of(graph.inputs, graph)}
    assert {8000, 16000} < tried
    assert len(tried) == 3


@pytest.mark.parametrize(("operator", "wanted"), [("Less", {9, 10, 11}), ("Equal", {10})])
def test_values_beside_a_limit_are_tried(operator: str, wanted: set[int], tmp_path: Path) -> None:
    nodes = [node("Sub", "n one", "m"), node(operator, "m ten", "b"), node("Cast", "b", "y", to=FLOAT)]
    path = tmp_path / "model.onnx"
    onnx.save(model(nodes, [value("n", [], INT64)], constants={"one": np.asarray(-2), "ten": np.asarray(12)}), path)
    graph = read(path)
    assert wanted <= {int(sample(graph.inputs[0], graph, seed)) for seed in seeds_of(graph.inputs, graph)}
