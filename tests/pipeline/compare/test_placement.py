"""Nodes find their modules: by exporters, weights, names without numbers, and what lies around them."""

from lwmport.pipeline.compare.placement import place
from lwmport.targets.graphs.record import Node

WEIGHTS = {
    "h/0/attention/wq/kernel": ("h", "0", "attention", "wq"),
    "h/0/attention/wo/kernel": ("h", "0", "attention", "wo"),
    "h/1/attention/wq/kernel": ("h", "1", "attention", "wq"),
}


def node(name: str, reads: str, makes: str, **more: object) -> Node:
    given = {"op": "Op", "domain": "", "inputs": tuple(reads.split()), "outputs": (makes,), **more}
    return Node(name=name, **given)  # type: ignore[arg-type]


def test_a_weight_tells_the_module() -> None:
    found = place([node("", "x h/0/attention/wq/kernel", "a")], WEIGHTS)
    assert found.paths == (("h", "0", "attention", "wq"),)
    assert found.by_neighbours == 0


def test_an_exporter_goes_before_everything() -> None:
    told = node("h/0/attention/Op", "x h/0/attention/wq/kernel", "a", module=("model", "q"))
    assert place([told], WEIGHTS).paths == (("model", "q"),)


def test_a_name_without_the_number_is_settled_by_the_weights_around_it() -> None:
    nodes = [
        node("", "x h/0/attention/wo/kernel", "a"),
        node("Class/h/attention/Norm", "a", "b"),
        node("", "b h/1/attention/wq/kernel", "c"),
        node("Class/h/attention/Softmax", "c", "d"),
    ]
    assert place(nodes, WEIGHTS).paths[1::2] == (("h", "0", "attention"), ("h", "1", "attention"))


def test_names_of_classes_are_left_out() -> None:
    nodes = [node("h/0/Block/attention/Softmax", "x", "a")]
    assert place(nodes, WEIGHTS).paths == (("h", "0", "attention"),)


def test_a_node_that_nothing_names_lies_in_what_holds_both_neighbours() -> None:
    nodes = [
        node("", "x h/0/attention/wq/kernel", "a"),
        node("", "a", "b"),
        node("", "b h/0/attention/wo/kernel", "c"),
        node("", "c", "d"),
        node("", "d h/1/attention/wq/kernel", "e"),
        node("", "e", "f"),
    ]
    found = place(nodes, WEIGHTS)
    assert found.paths[1] == ("h", "0", "attention")
    assert found.paths[3] == ("h",)
    assert found.paths[5] == ()
    assert found.by_neighbours == 3
