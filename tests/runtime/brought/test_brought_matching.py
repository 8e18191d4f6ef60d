"""Names in files find the tensors of a model, whatever a tool made of them, and never one of two."""

from typing import Any

import numpy as np

from lwmport.runtime.brought.read import Brought, BroughtTensor, matched, unmatched


def tensor(*names: str, role: str = "tensor", **more: Any) -> BroughtTensor:
    values = {"shape": (1,), "dtype": "float32", "source": f"{names}", "load": lambda: np.zeros(1), **more}
    return BroughtTensor(names=names, role=role, **values)


def brought(*tensors: BroughtTensor) -> Brought:
    return Brought(kind="test", tensors=tensors)


def test_a_name_is_found_as_it_is_and_as_tools_spell_it() -> None:
    names = ["pixel_values", "/decoder/mid.1/Conv_output_0", "encoder/Conv:0"]
    files = brought(tensor("pixel_values"), tensor("_decoder_mid_1_Conv_output_0"), tensor("encoder_Conv_0"))
    assert list(matched(files, names)) == names
    assert list(matched(brought(tensor("decoder_mid_1_Conv_output_0")), names)) == [names[1]]
    assert unmatched(files, names) == ()


def test_what_fits_two_tensors_is_matched_with_neither() -> None:
    for names in (["a/b", "a.b"], ["a/b", "a_b"]):
        files = brought(tensor("a_b"))
        assert matched(files, names) == {}
        assert unmatched(files, names) == (
            f"1 is left aside, for the name fits several tensors of the model: a_b ({', '.join(sorted(names))})",
        )


def test_a_name_of_a_tensor_that_nobody_looks_for_is_that_tensors() -> None:
    nodes = {("one", 0): "a/b", ("two", 0): "a_b", ("three", 0): "c"}
    assert matched(brought(tensor("a_b"), tensor("c")), ["a/b", "c"], nodes=nodes).keys() == {"c"}


def test_a_tool_that_keeps_slashes_has_changed_no_name() -> None:
    assert list(matched(brought(tensor("a/b"), tensor("a_b")), ["a/b", "a_b"])) == ["a/b", "a_b"]


def test_what_comes_twice_is_matched_with_neither() -> None:
    files = brought(tensor("x", source="one.npy"), tensor("x", source="two.npy"))
    assert matched(files, ["x"]) == {}
    assert "for several files fit one tensor of the model: x (one.npy, two.npy)" in unmatched(files, ["x"])[0]


def test_values_are_taken_before_statistics() -> None:
    files = brought(tensor("x", load=None, statistics={"mean": 1.0}), tensor("x", source="x.npy"))
    assert matched(files, ["x"])["x"].source == "x.npy"


def test_what_the_model_has_not_is_told() -> None:
    assert unmatched(brought(tensor("y\x1b[2J"), tensor("x")), ["x"]) == (
        "1 is left aside, for the model has no tensor of that name: y\\x1b[2J",
    )


def test_a_node_finds_its_outputs() -> None:
    nodes = {("/net/Split", 0): "left", ("/net/Split", 1): "right", ("left", 0): "other"}
    files = brought(tensor("_net_Split", role="output"), tensor("_net_Split", role="output", index=1))
    found = matched(files, ["left", "right"], nodes=nodes)
    assert {name: one.index for name, one in found.items()} == {"left": 0, "right": 1}


def test_an_output_of_a_node_is_found_by_our_own_names() -> None:
    files = brought(
        tensor("Add", role="output"), tensor("Add_0", role="output"), tensor("Split", role="output", index=1)
    )
    names = ["Add:0", "Add_0:0", "Split:0", "Split:1"]
    found = matched(files, names)
    assert {name: one.names[0] for name, one in found.items()} == {
        "Add:0": "Add",
        "Add_0:0": "Add_0",
        "Split:1": "Split",
    }


def test_a_position_is_an_output_of_the_model() -> None:
    files = brought(tensor(role="output", index=1), tensor(role="output", index=2))
    assert list(matched(files, ["a", "b"], outputs=["a", "b"])) == ["b"]
    assert unmatched(files, ["a", "b"], outputs=["a", "b"])[0].endswith("no tensor of that name: output 2")


def test_one_run_is_matched_and_inputs_are_not() -> None:
    files = brought(tensor("x", sample=1), tensor("x", role="input"))
    assert matched(files, ["x"]) == {}
    assert list(matched(files, ["x"], sample=1)) == ["x"]
