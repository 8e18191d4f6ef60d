"""Faults in what is made once for all layers, a mask or a count of positions: another setting or type mends them."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from exports import Fault, constant, nth
from onnx import numpy_helper

from lwmport.pipeline.bisect.variants import other_modes
from lwmport.reports.bisection import Bisection
from lwmport.runtime.pieces.spec import Operator


def mask_too_small(model: onnx.ModelProto) -> str:
    """Hide with a number that hides nothing."""
    node = next(node for node in model.graph.node if node.op_type == "Where")
    return _given(model, node, 2, np.float32(-2))


def counted_on(model: onnx.ModelProto) -> str:
    """Count the last positions from 1 on, so that shapes do not fit any more."""
    node = nth(model, "Range", -1)
    return _given(model, node, 0, constant(model, node.input[0]) + 1)


def either(model: onnx.ModelProto) -> str:
    """Let one of two conditions be enough."""
    node = nth(model, "And", 0)
    node.op_type = "Or"
    return str(node.output[0])


def scaled_queries(model: onnx.ModelProto) -> str:
    """Multiply the weight of queries, in which the halves of heads lie apart: in that of keys too, and in no other."""
    node = nth(model, "MatMul", 0)
    return _given(model, node, 1, constant(model, node.input[1]) * np.float32(0.9))


def _given(model: onnx.ModelProto, node: onnx.NodeProto, place: int, value: np.ndarray) -> str:
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), "planted"))
    node.input[place] = "planted"
    return str(node.output[0])


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (mask_too_small, "scaled-weights"),
        (counted_on, "wrong-attribute"),
        (either, "wrong-operator"),
        (scaled_queries, "scaled-weights"),
    ],
)
def test_a_fault_of_what_all_layers_share_is_found(
    fault: Fault, cause: str, searched: Callable[[Fault], tuple[str, Bisection]]
) -> None:
    place, found = searched(fault)
    assert found.first is not None
    assert found.first.output == place
    assert found.first.cause == cause


def test_a_resize_is_tried_with_other_rules_of_the_nearest_place() -> None:
    x, scales = np.arange(4, dtype=np.float32).reshape(1, 1, 1, 4), np.array([1, 1, 1, 2], np.float32)
    rule = {"mode": "nearest", "nearest_mode": "ceil", "coordinate_transformation_mode": "asymmetric"}
    resize = Operator(name="up", type="Resize", attributes=rule, inputs=("x", "", "scales"), outputs=("y",))
    file = SimpleNamespace(operators=[resize], constants={"scales": None}, constant={"scales": scales}.get)
    values = {"x": x, "y": np.zeros((1, 1, 1, 8), np.float32)}
    region: Any = SimpleNamespace(walk=SimpleNamespace(file=file), values=values, value=values.get)
    tried = {trial.words: trial for trial in other_modes(region, 0)}
    right = tried["the nearest_mode floor"]
    assert right.settings == {"nearest_mode": "floor"}
    np.testing.assert_array_equal(right.made, np.repeat(x, 2, axis=3))
