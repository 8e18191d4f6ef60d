"""Faults between values that JAX does not have: another layer of the export tells what is right there."""

from collections.abc import Callable

import onnx
import pytest
from exports import Fault, nth
from onnx import TensorProto, helper

from lwmport.reports.bisection import Bisection
from lwmport.types import Status


def exchanged_halves(model: onnx.ModelProto) -> str:
    """Exchange both halves of what is to be rotated; who reads them first is told."""
    first, second = halves = [node for node in model.graph.node if node.op_type == "Slice" and len(node.input) == 5][:2]
    reader = next(node for node in model.graph.node if halves[1].output[0] in node.input)
    first.output[0], second.output[0] = second.output[0], first.output[0]
    return str(reader.output[0])


def narrow_scores(model: onnx.ModelProto) -> str:
    """Compute scores of the second layer in float16."""
    softmax = nth(model, "Softmax", 1)
    added = next(node for node in model.graph.node if softmax.input[0] in node.output)
    node = next(node for node in model.graph.node if added.input[0] in node.output)
    place = list(model.graph.node).index(node)
    for at, name in enumerate(list(node.input)):
        cast = helper.make_node("Cast", [name], [f"narrow_{at}"], f"narrow_{at}", to=TensorProto.FLOAT16)
        model.graph.node.insert(place + at, cast)
        node.input[at] = f"narrow_{at}"
    wide = helper.make_node("Cast", ["narrow"], [node.output[0]], "wide", to=TensorProto.FLOAT)
    node.output[0] = "narrow"
    model.graph.node.insert(place + 3, wide)
    return "narrow"


def left_out_order(model: onnx.ModelProto) -> str:
    """Read the keys of the second layer before their axes change places."""
    turned = [node for node in model.graph.node if node.op_type == "Transpose" and len(node.attribute[0].ints) == 3][1]
    reader = next(node for node in model.graph.node if turned.output[0] in node.input)
    reader.input[0] = turned.input[0]
    return str(reader.output[0])


def other_scale(model: onnx.ModelProto) -> str:
    """Scale the queries of the first layer by another number."""
    scales = [node for node in model.graph.node if node.op_type == "Mul" and node.input[1].startswith("val_")]
    node = next(node for node in scales if [*node.input][1] in {item.name for item in model.graph.initializer})
    item = onnx.helper.make_tensor("planted", TensorProto.FLOAT, [], [0.7])
    model.graph.initializer.append(item)
    node.input[1] = item.name
    return str(node.output[0])


@pytest.mark.parametrize(
    ("fault", "cause"),
    [(exchanged_halves, "wrong-wiring"), (narrow_scores, "wrong-dtype"), (left_out_order, "wrong-wiring"),
     (other_scale, "scaled-weights")],
)  # fmt: skip
def test_a_fault_within_attention_is_found(
    fault: Fault, cause: str, searched: Callable[[Fault], tuple[str, Bisection]]
) -> None:
    place, found = searched(fault)
    assert found.status is Status.FAILED
    assert found.first is not None
    assert found.first.output == place
    assert found.first.cause == cause
    assert not found.others
    assert any("proven" in note for note in found.notes)
