"""What is done to tf2onnx's graph: one order, one name for equal constants, and our signature."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lwmport.converters.tf2onnx_route.canonical import make_canonical
from lwmport.converters.tf2onnx_route.signature import impose
from lwmport.errors import LoweringError

SIGNATURE = {
    "inputs": [{"name": "x", "shape": ["batch", 3], "dtype": "float32"}],
    "outputs": [
        {"name": "b", "shape": ["batch", 3], "dtype": "float32"},
        {"name": "a", "shape": ["batch", 3], "dtype": "float32"},
    ],
}


def value(name: str, kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, ["unk__7", 3])


def model(names: tuple[str, str, str], *, swapped: bool) -> Any:
    """Return a = x * 2, b = x * 2 + 1 + 1, with inner names and an order as tf2onnx might choose them."""
    one, other, product = names
    nodes = [
        helper.make_node("Mul", ["x", "StatefulPartitionedCall/c/kernel/ReadVariableOp:0"], [product], "P/Mul__1"),
        helper.make_node("Identity", [product], ["a"], "P/Identity"),
        helper.make_node("Add", [product, one], ["s:0"], "P/Add"),
        helper.make_node("Add", ["s:0", other], ["b"], "P/Add__9"),
        helper.make_node("Neg", [product], ["unread"], "P/Neg"),
    ]
    tensors = [
        numpy_helper.from_array(np.full(3, 2, np.float32), "StatefulPartitionedCall/c/kernel/ReadVariableOp:0"),
        numpy_helper.from_array(np.ones(3, np.float32), one),
        numpy_helper.from_array(np.ones(3, np.float32), other),
    ]
    if swapped:
        nodes[1], nodes[2] = nodes[2], nodes[1]
        tensors.reverse()
    graph = helper.make_graph(nodes, "g", [value("x")], [value("a"), value("b")], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def test_order_and_numbers_of_the_tool_do_not_matter() -> None:
    one, two = model(("c__1", "c__2", "m:0"), swapped=False), model(("k__8", "k__3", "n:0"), swapped=True)
    for made in (one, two):
        impose(made, SIGNATURE)
        make_canonical(made.graph)
        onnx.checker.check_model(made, full_check=True)
    assert one.SerializeToString(deterministic=True) == two.SerializeToString(deterministic=True)
    assert [tensor.name for tensor in one.graph.initializer] == ["c/kernel", "constant"]
    assert [node.op_type for node in one.graph.node] == ["Mul", "Add", "Add", "Identity"]


def test_the_result_computes_the_same() -> None:
    from onnx.reference import ReferenceEvaluator

    made = model(("c__1", "c__2", "m:0"), swapped=True)
    impose(made, SIGNATURE)
    make_canonical(made.graph)
    b, a = ReferenceEvaluator(made).run(None, {"x": np.asarray([[1, 2, 3]], np.float32)})
    np.testing.assert_array_equal(a, [[2, 4, 6]])
    np.testing.assert_array_equal(b, [[4, 6, 8]])


def test_inputs_and_outputs_become_the_signature() -> None:
    made = model(("c__1", "c__2", "m:0"), swapped=False)
    impose(made, SIGNATURE)
    assert [item.name for item in made.graph.output] == ["b", "a"]
    assert [dim.dim_param or dim.dim_value for dim in made.graph.input[0].type.tensor_type.shape.dim] == ["batch", 3]


@pytest.mark.parametrize("change", [{"name": "y"}, {"dtype": "float16"}], ids=["another name", "another dtype"])
def test_another_signature_is_refused(change: dict[str, str]) -> None:
    made = model(("c__1", "c__2", "m:0"), swapped=False)
    other = {**SIGNATURE, "inputs": [{**SIGNATURE["inputs"][0], **change}]}
    with pytest.raises(LoweringError, match=r"expected tf2onnx to keep the inputs .*, found x float"):
        impose(made, other)
