"""A weight, or a value, of another operator is found where it is read, though each is one that the reference has."""

from collections.abc import Callable

import onnx
from exports import Fault

from lwmport.reports.bisection import Bisection


def exchanged_weights(model: onnx.ModelProto) -> str:
    """Exchange the weights of two products that read different values: of attention's output and of the next value."""
    held = {item.name: list(item.dims) for item in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type == "MatMul" and held.get(node.input[1]) == [64, 64]]
    one, other = products[3], products[6]
    one.input[1], other.input[1] = other.input[1], one.input[1]
    return str(one.output[0])


def test_weights_that_changed_places_are_found_at_both(searched: Callable[[Fault], tuple[str, Bisection]]) -> None:
    place, found = searched(exchanged_weights)
    assert found.first is not None
    assert found.first.output == place
    assert found.first.cause == "stale-weights"
    assert len(found.others) == 1


def value_of_another_place(model: onnx.ModelProto) -> str:
    """Let a product of the second layer read what those of the first one read."""
    products = [node for node in model.graph.node if node.op_type == "MatMul" and len(node.input) == 2]
    held = {item.name: list(item.dims) for item in model.graph.initializer}
    wide = [node for node in products if held.get(node.input[1]) == [64, 96]]
    wide[2].input[0] = wide[0].input[0]
    return str(wide[2].output[0])


def test_a_value_of_another_place_is_found(searched: Callable[[Fault], tuple[str, Bisection]]) -> None:
    place, found = searched(value_of_another_place)
    assert found.first is not None
    assert found.first.output == place
    assert found.first.cause == "wrong-wiring"
    assert not found.others
