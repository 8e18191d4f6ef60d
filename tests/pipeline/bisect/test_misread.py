"""Two weights that changed places are found where each is read, though each is a weight of the checkpoint."""

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
