"""Two models side by side: what enters, what passes through, and what is put in or read from elsewhere."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest

from lwmport.pipeline.bisect.walk import Walk, corresponds
from lwmport.runtime.pieces.onnx import OnnxPieces
from lwmport.types import Array

X = np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3)
NODES = (("Mul", ["x", "w"], "a"), ("Relu", ["a"], "b"), ("Add", ["b", "v"], "c"), ("Neg", ["c"], "y"))


def pieces(nodes: Sequence[tuple[str, list[str], str]], **constants: Array) -> OnnxPieces:
    made = [onnx.helper.make_node(kind, read, [given], name=given) for kind, read, given in nodes]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2, 3]) for name in ("x", "y")]
    graph = onnx.helper.make_graph(made, "g", ends[:1], ends[1:])
    held = {"w": np.full(3, 2, np.float32), "v": np.ones(3, np.float32)} | constants
    from lwmport.types import TensorSpec

    specs = {name: TensorSpec(name=name, shape=one.shape, dtype=one.dtype.name) for name, one in held.items()}
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return OnnxPieces(model, specs, held.__getitem__, 1)


def walked(file: OnnxPieces) -> dict[str, tuple[bool, bool]]:
    """Return output -> whether the operator alone, and the whole file up to it, give what the reference gives."""
    walk = Walk(pieces(NODES), file, [{"x": X}])
    return {step.output: (step.is_own, step.is_whole) for _, steps in walk.steps() for step in steps}


def test_equal_models_are_equal_everywhere() -> None:
    assert walked(pieces(NODES)) == dict.fromkeys("abcy", (True, True))


def test_an_error_enters_in_one_place_and_passes_through_the_others() -> None:
    found = walked(pieces(NODES, v=np.full(3, 5, np.float32)))
    assert found == {"a": (True, True), "b": (True, True), "c": (False, False), "y": (True, False)}


def test_an_error_may_die_out() -> None:
    found = walked(pieces((*NODES[:1], ("Relu", ["x"], "b"), *NODES[2:]), w=np.full(3, 3, np.float32)))
    assert found["a"] == (False, False)
    negative = pieces(NODES, w=np.full(3, 2, np.float32))
    assert walked(negative)["b"] == (True, True)


def test_what_is_put_in_is_held_against_what_was_there() -> None:
    nodes = (*NODES[:2], ("Neg", ["b"], "extra"), ("Add", ["extra", "v"], "c"), NODES[3])
    assert walked(pieces(nodes)) == {
        "a": (True, True), "b": (True, True), "extra": (False, False), "c": (True, False), "y": (True, False),
    }  # fmt: skip


def test_what_reads_another_tensor_is_where_the_error_enters() -> None:
    assert walked(pieces((*NODES[:2], ("Add", ["a", "v"], "c"), NODES[3])))["c"] == (False, False)


def test_a_walk_goes_on_from_its_state() -> None:
    file = pieces(NODES, v=np.full(3, 5, np.float32))
    first = Walk(pieces(NODES), file, [{"x": X}])
    steps = first.steps()
    next(steps), next(steps)
    second = Walk(pieces(NODES), file, [{"x": X}])
    second.restore(first.state)
    assert [number for number, _ in second.steps()] == [2, 3]
    right, whole = second.outputs(0)
    np.testing.assert_array_equal(right["y"], -(np.maximum(X * 2, 0) + 1))
    np.testing.assert_array_equal(whole["y"], -(np.maximum(X * 2, 0) + 5))


def test_what_does_not_run_says_why() -> None:
    walk = Walk(pieces(NODES), pieces(NODES, v=np.ones(7, np.float32)), [{"x": X}])
    refused = {step.output: step.refused for _, steps in walk.steps() for step in steps}
    assert "alone" in refused["c"]
    assert not refused["a"]


@pytest.mark.parametrize(("names", "alike"), [("abcy", "yes"), ("abzz", "yes"), ("azzy", "yes"), ("zzzy", "no")])
def test_models_correspond_by_the_names_of_what_they_compute(names: str, alike: str) -> None:
    pairs = zip(NODES, names, strict=True)
    nodes = [(kind, read, given if name != "z" else f"other_{given}") for (kind, read, given), name in pairs]
    assert corresponds(pieces(NODES), pieces(nodes)) is (alike == "yes")


def test_a_constant_is_held_against_each_one_that_stands_in_its_place() -> None:
    """Operators that share constants: what one has for the first of the pairs says nothing of the next."""
    walk = Walk(pieces(NODES), pieces(NODES), [{"x": X}])
    assert walk.is_equal("w", "w")
    assert not walk.is_equal("w", "v")
    assert walk.is_equal("w", "w")
