"""The tree of both sides: its order, and what differs."""

from lwmport.pipeline.compare.difference import compared
from lwmport.pipeline.compare.structure import Parameter, Structure
from lwmport.reports.comparison.facts import Tensor
from lwmport.reports.comparison.record import ModuleDiff, Sameness


def structure(*names: str, dtype: str = "float32", size: int = 2) -> Structure:
    parameters = tuple(
        Parameter(
            path=tuple(name.split("/")[:-1]),
            full=name,
            tensor=Tensor(name=name.split("/")[-1], shape=(size, size), dtype=dtype),
        )
        for name in names
    )
    return Structure(kind="a test", vocabulary="", parameters=parameters)


def titles(module: ModuleDiff) -> list[str]:
    return [child.path[-1] for child in module.children]


def test_what_b_alone_has_stands_where_it_is_in_b() -> None:
    a = structure("one/w", "three/w")
    b = structure("zero/x/w", "one/w", "two/x/w", "two/y/w", "three/w", "four/z/w")
    root = compared(a, b, ("a", "b")).root
    assert titles(root) == ["zero", "one", "two", "three", "four"]
    two = root.children[2]
    assert two.status is Sameness.ONLY_B
    assert titles(two) == ["x", "y"]


def test_a_name_that_is_taken_by_another_module_gets_a_mark() -> None:
    a = structure("m/w", "n/w")
    b = structure("n/w", "m/w/deep")
    paths = {"/".join(module.path) for module in compared(a, b, ("a", "b")).root.walk()}
    assert {"m", "n", "m/w"} <= paths


def test_a_dtype_differs_and_is_told() -> None:
    found = compared(structure("m/w"), structure("m/w", dtype="float16"), ("a", "b"))
    (change,) = found.root.children[0].changes
    assert (change.what, change.a, change.b) == ("dtype", "float32", "float16")
    assert found.compared_by == "parameters"


def test_twenty_thousand_tensors_take_no_square_of_time() -> None:
    names = [f"m{number // 50}x/w{number}" for number in range(20_000)]
    found = compared(structure(*names), structure(*names[:10_000], *names[12_000:]), ("a", "b"))
    assert found.counts[Sameness.ONLY_A] == 40
    flat = [f"w{number}" for number in range(20_000)]
    assert compared(structure(*flat), structure(*flat), ("a", "b")).same


def test_a_holder_of_what_both_have_is_no_difference() -> None:
    a = structure("block/conv/kernel", "block/norm/scale", size=4)
    b = structure("k0/kernel", "k1/scale", size=4)
    found = compared(a, b, ("a", "b"))
    assert found.root.children[0].b is None
    assert found.root.children[0].status is Sameness.SAME
    assert found.same
