"""Model files as structures: parameters by name or by who reads them, functions where they are called, bodies."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from lwmport.pipeline.compare.graph_reader import read_graph
from lwmport.pipeline.compare.structure import Structure


def read(path: Path, nodes: list[Any], tensors: dict[str, tuple[int, ...]], **more: Any) -> Structure:
    ends = [helper.make_tensor_value_info(name, 1, more.get(name, [2, 8])) for name in ("x", "y")]
    weights = [onnx.numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in tensors.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], initializer=weights)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=more.get("functions", [])), path)
    return read_graph(path, more.get("sizes", {}))


def test_what_a_writer_adds_to_a_name_is_left_out(tmp_path: Path) -> None:
    names = {"a/Conv_0/kernel/axes10": (8, 8), "a/Conv_0/bias_1": (8,), "constant_3": (8, 8)}
    nodes = [
        helper.make_node("MatMul", ["x", "a/Conv_0/kernel/axes10"], ["p"]),
        helper.make_node("Add", ["p", "a/Conv_0/bias_1"], ["q"]),
        helper.make_node("MatMul", ["q", "constant_3"], ["y"]),
    ]
    found = read(tmp_path / "m.onnx", nodes, names)
    assert {(one.path, one.tensor.name) for one in found.parameters} == {
        (("a", "Conv_0"), "kernel"),
        (("a", "Conv_0"), "bias"),
    }
    assert [operator.path for operator in found.operators[:2]] == [("a", "Conv_0")] * 2


def test_a_function_counts_where_it_is_called(tmp_path: Path) -> None:
    body = [helper.make_node("Exp", ["i"], ["m"]), helper.make_node("Neg", ["m"], ["o"])]
    function = helper.make_function("own", "Twice", ["i"], ["o"], body, [helper.make_opsetid("", 17)])
    nodes = [
        helper.make_node("Twice", ["x"], ["z"], domain="own"),
        helper.make_node("Twice", ["z"], ["y"], domain="own"),
    ]
    found = read(tmp_path / "m.onnx", nodes, {}, functions=[function])
    assert [operator.name for operator in found.operators] == ["own.Twice"] * 2
    assert found.operators[0].cost.kinds == {"elementwise": 2}


def test_a_node_reads_what_its_body_reads(tmp_path: Path) -> None:
    result = [helper.make_tensor_value_info("r", 1, [2, 8])]
    body = helper.make_graph([helper.make_node("Neg", ["p"], ["r"])], "b", [], result)
    nodes = [
        helper.make_node("MatMul", ["x", "a/kernel"], ["p"]),
        helper.make_node("If", ["c"], ["q"], "choice", then_branch=body, else_branch=body),
        helper.make_node("MatMul", ["q", "b/kernel"], ["y"]),
    ]
    found = read(tmp_path / "m.onnx", nodes, {"a/kernel": (8, 8), "b/kernel": (8, 8), "c": ()})
    assert ((("a",), 0), ((), 1)) in found.edges
    assert (((), 1), (("b",), 0)) in found.edges
    assert any("loops and branches" in note for note in found.notes)


def test_a_named_size_is_a_number_that_is_told(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "a/kernel"], ["y"])]
    for sizes, count in (({}, 128), ({"tokens": 3}, 3)):
        found = read(tmp_path / "m.onnx", nodes, {"a/kernel": (8, 8)}, x=["tokens", 8], y=["tokens", 8], sizes=sizes)
        assert found.sizes == {"tokens": count}
        assert found.operators[0].cost.flop == 2 * count * 8 * 8


def test_a_weight_that_several_modules_read_is_a_parameter_of_each(tmp_path: Path) -> None:
    nodes = []
    for number, (before, after) in enumerate((("x", "m"), ("m", "y"))):
        node = helper.make_node("MatMul", [before, "shared.weight"], [after])
        entry = node.metadata_props.add()
        entry.key, entry.value = "pkg.torch.onnx.name_scopes", str(["", f"layers.{number}.proj", "linear"])
        nodes.append(node)
    found = read(tmp_path / "m.onnx", nodes, {"shared.weight": (8, 8)})
    assert [one.path for one in found.parameters] == [("layers", "0", "proj"), ("layers", "1", "proj")]
    assert any("read in several modules" in note for note in found.notes)


def test_in_a_file_without_names_an_operator_is_a_module_with_all_its_weights(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "k7", "b7"], ["m"], kernel_shape=[1, 1]),
        helper.make_node("Mul", ["m", "scale"], ["y"]),
    ]
    tensors = {"k7": (4, 4, 1, 1), "b7": (4,), "scale": (1,)}
    found = read(tmp_path / "m.onnx", nodes, tensors, x=[1, 4, 2, 2], y=[1, 4, 2, 2])
    assert {(one.path, one.tensor.name) for one in found.parameters} == {(("k7",), "k7"), (("k7",), "b7")}
