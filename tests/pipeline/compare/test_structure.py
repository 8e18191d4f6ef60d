"""What a module does before, between and behind its children; models of one side as one."""

from lwmport.pipeline.compare.structure import Cost, Operator, Parameter, Path, Structure, bounded, together
from lwmport.reports.comparison.facts import Tensor


def operator(name: str, path: Path, reads: str, makes: str) -> Operator:
    cost = Cost(kinds={"elementwise": 1}, flop=1, bytes=4)
    return Operator(name=name, path=path, cost=cost, inputs=tuple(reads.split()), outputs=(makes,))


def structure(*operators: Operator, vocabulary: str = "JAX") -> Structure:
    tensor = Tensor(name="x", shape=(1,), dtype="float32")
    return Structure(
        kind="a test", vocabulary=vocabulary, parameters=(), operators=operators, inputs=(tensor,), reads=("x",)
    )


LAYER = structure(
    operator("norm", ("norm",), "x", "a"),
    operator("mix", ("attention",), "a", "b"),
    operator("add", (), "x b", "c"),
    operator("act", ("mlp",), "c", "d"),
    operator("add", (), "c d", "e"),
)


def test_own_operators_are_apart_where_children_run_between_them() -> None:
    assert [dict(part) for _, part in sorted(LAYER.parts[()].items())] == [{"add": 1}, {"add": 1}]
    ends = {(one[0], other[0]) for one, other in LAYER.edges}
    assert (("norm",), ("attention",)) in ends
    assert (("input: x",), ("norm",)) in ends
    first, second = sorted({place for edge in LAYER.edges for place in edge if place[0] == ()})
    assert (first, second) in LAYER.edges, "the residual"


def test_facts_are_added_up_by_module() -> None:
    assert LAYER.facts[()].operators == {"add": 2}
    assert LAYER.facts[()].flop == 2
    assert list(LAYER.facts) == [(), ("norm",), ("attention",), ("mlp",)]


def test_several_models_lie_in_modules_of_their_names_and_are_paired_in_order() -> None:
    a, b = together({"one": LAYER, "two": LAYER}, {"one": LAYER, "other": LAYER})
    assert ("two", "mlp") in b.facts
    assert b.notes == ("other is held against two of A",)
    assert a.notes == ()


def test_beside_a_checkpoint_all_models_share_one_tree() -> None:
    weight = Parameter(path=("mlp",), full="mlp/w", tensor=Tensor(name="w", shape=(2,), dtype="float32"))
    checkpoint = Structure(kind="a checkpoint", vocabulary="", parameters=(weight,))
    model = Structure(kind="a model", vocabulary="JAX", parameters=(weight,))
    a, b = together({"one": model, "two": model}, {"file": checkpoint})
    assert len(a.parameters) == len(b.parameters) == 1


def test_a_path_of_any_depth_is_bounded() -> None:
    assert len(bounded("a" * 1000)) == 24
    assert bounded(["a", "", "b"]) == ("a", "b")
