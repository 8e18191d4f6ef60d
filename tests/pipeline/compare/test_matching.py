"""Pairs of parameters, and what shape and order may match."""

from dataclasses import replace

from lwmport.pipeline.compare.matching import match, paired, paired_parts
from lwmport.pipeline.compare.structure import Parameter, Structure
from lwmport.reports.comparison.facts import Tensor


def tensor(name: str, *shape: int) -> Tensor:
    return Tensor(name=name, shape=shape, dtype="float32")


def structure(**modules: tuple[int, ...]) -> Structure:
    parameters = tuple(
        Parameter(path=tuple(path.split("__")), full=path, tensor=tensor("kernel", *shape))
        for path, shape in modules.items()
    )
    return Structure(kind="a test", vocabulary="", parameters=parameters)


def test_parameters_are_paired_by_name_then_by_sizes_then_if_one_is_left() -> None:
    a = [tensor("kernel", 3, 4), tensor("bias", 4), tensor("gamma", 5)]
    b = [tensor("weight", 4, 3), tensor("bias", 4), tensor("scale", 7)]
    names = [(one.name if one else "", other.name if other else "") for one, other in paired(a, b)]
    assert names == [("bias", "bias"), ("kernel", "weight"), ("gamma", "scale")]


def test_parameters_that_fit_nothing_stand_alone() -> None:
    found = paired([tensor("a", 2), tensor("b", 3)], [tensor("c", 4)])
    assert [(one is None, other is None) for one, other in found] == [(False, True), (False, True), (True, False)]


def test_paths_go_before_shapes() -> None:
    found = match(structure(x=(2, 3), y=(2, 3)), structure(y=(2, 3), x=(2, 3))).found
    assert {b: a for b, (a, _) in found.items()} == {(): (), ("x",): ("x",), ("y",): ("y",)}
    assert {how for _, how in found.values()} == {"path"}


def test_shapes_match_in_order_and_bring_what_holds_them() -> None:
    a = structure(enc__conv=(3, 3, 4, 8), enc__norm=(8,), enc__out=(8, 8))
    b = structure(stem__c=(8, 4, 3, 3), stem__n=(8,), stem__new=(5, 5), stem__o=(8, 8))
    found = match(a, b).found
    assert found["stem", "c"] == (("enc", "conv"), "shape and order")
    assert found["stem", "o"] == (("enc", "out"), "shape and order")
    assert found[("stem",)] == (("enc",), "modules within")
    assert ("stem", "new") not in found


def test_another_order_is_not_forced() -> None:
    found = match(structure(a=(2, 3), b=(4, 5)), structure(c=(4, 5), d=(2, 3))).found
    assert len(found) == 2, "the model itself and one of the two"


def test_a_side_that_hides_biases_is_matched_by_its_kernels() -> None:
    bias = Parameter(path=("conv",), full="conv/bias", tensor=tensor("bias", 8))
    whole = structure(conv=(3, 3, 4, 8))
    found = match(replace(whole, parameters=(*whole.parameters, bias)), structure(k=(8, 4, 3, 3))).found
    assert found[("k",)] == (("conv",), "shape and order")


def test_parts_are_one_by_their_operators_whatever_their_case() -> None:
    a = {1: {"silu": 1}, 2: {"silu": 1}, 3: {"add": 1}}
    assert paired_parts(a, {1: {"Add": 1}}) == {1: 3}
    assert paired_parts({0: {"mask": 1}, 1: {"add": 1}}, {0: {"Where": 2}, 4: {"Add": 1}}) == {0: 0, 4: 1}
    assert paired_parts({1: {"add": 1}}, {0: {"Min": 1}, 1: {"Add": 1}}) == {0: 2, 1: 1}
    assert paired_parts({}, {0: {"Min": 1}}) == {0: 1}
    mixed = {0: {"div": 1, "gather": 2, "mask": 1}, 2: {"select": 1}}
    assert paired_parts({0: {"div": 1, "gather": 2}}, mixed) == {0: 0, 2: 1}
