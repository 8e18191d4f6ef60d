"""A few bytes ask for much: sizes are counted before anything is made, and each costs one line or nothing."""

import contextlib
import resource
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from rule_cases import FLOAT, INT64, model, node, value

from lwmport import memory
from lwmport.errors import ArtifactError
from lwmport.targets.graphs import calls, inference
from lwmport.targets.graphs.inference import constant_of, settle
from lwmport.targets.graphs.onnx_file import read
from lwmport.targets.graphs.record import LARGEST, Constant, bytes_of, product
from lwmport.targets.graphs.result_size import result_size
from lwmport.targets.graphs.skeleton import FIELDS
from lwmport.targets.preflight import TOLD, Conditions, check
from lwmport.targets.rules.registration import since
from lwmport.targets.rules.resize import ROUND_DOWN, same_for_any_rounding, taken

TARGETS = ("aipu", "ascend", "cpu", "migraphx")


def saved(made: onnx.ModelProto | bytes, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    return path


def of_many_outputs() -> onnx.ModelProto:
    return model([node("Split", "x", "y", num_outputs=2**31, axis=0)], opset=18)


def of_many_axes() -> onnx.ModelProto:
    return model([node("ConstantOfShape", "n", "y")], [value("n", [2**31], INT64)])


def of_axes_that_double() -> onnx.ModelProto:
    names = ["n", *(f"n{level}" for level in range(32))]
    nodes = [node("Concat", f"{one} {one}", two, axis=0) for one, two in pairwise(names)]
    return model([*nodes, node("ConstantOfShape", names[-1], "y")], [value("n", [1], INT64)])


def test_a_node_of_more_outputs_than_any_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="whose shapes fit into memory"):
        read(saved(of_many_outputs(), tmp_path))
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY


@pytest.mark.parametrize("make", [of_many_outputs, of_many_axes, of_axes_that_double])
def test_inference_takes_no_more_than_its_bound(make: Callable[[], onnx.ModelProto], tmp_path: Path) -> None:
    before = memory.anonymous_bytes() or 0
    with memory.AnonymousPeak() as peak, contextlib.suppress(ArtifactError):
        read(saved(make(), tmp_path))
    assert (peak.peak_bytes or 0) - before < 2 * inference.SHAPES


def test_memory_is_bounded_in_a_block_alone() -> None:
    with memory.bounded(1 << 28), pytest.raises(MemoryError):
        bytearray(1 << 32)  # more than what earlier tests have left behind, and may give back meanwhile
    assert len(bytearray(1 << 29)) == 1 << 29


def test_a_chain_of_values_is_followed_in_few_inferences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each shape is that of an expanded value, whose shape is that of the one before."""
    nodes = []
    for level in range(60):
        nodes += [node("Shape", f"v{level}", f"s{level}"), node("Expand", f"c s{level}", f"v{level + 1}")]
    made = model(nodes, [value("v0", [2, 3])], [value("v60", None)], {"c": np.zeros((1, 1), np.float32)})
    count = 0
    original = onnx.shape_inference.infer_shapes

    def counted(*given: object, **more: object) -> object:
        nonlocal count
        count += 1
        return original(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(onnx.shape_inference, "infer_shapes", counted)
    typed, values = settle(made)
    assert count <= 4
    assert [dim.dim_value for dim in typed.graph.output[0].type.tensor_type.shape.dim] == [2, 3]
    np.testing.assert_array_equal(values["s59"], [2, 3])


OPERANDS = {
    "ConstantOfShape": ([2**40],),
    "Range": (0, 2**40, 1),
    "Tile": ([0.0] * 4, [2**38]),
    "Expand": ([0.0], [2**40]),
    "Add": (np.zeros((2**12, 1)), np.zeros((1, 2**12))),
    "Gather": (np.zeros((2, 2**12)), np.zeros(2**12, np.int64)),
    "GatherND": (np.zeros((2, 2**12)), np.zeros((2**12, 1), np.int64)),
}


@pytest.mark.parametrize("name", OPERANDS)
def test_no_value_is_made_that_is_larger_than_the_file_says(name: str) -> None:
    """The file says that each result has four elements."""
    arrays = {f"c{place}": np.asarray(operand) for place, operand in enumerate(OPERANDS[name])}
    made = model([node(name, " ".join(arrays), "v"), node("Identity", "v", "y")], constants=arrays)
    made.graph.value_info.append(value("v", [4], FLOAT))
    assert result_size(made.graph.node[0], list(arrays.values())) >= 2**24
    assert "v" not in settle(made)[1]


@pytest.mark.parametrize("name", sorted(inference.FOLDED - {"Shape", "Size"}))
def test_every_folded_operator_has_a_size(name: str) -> None:
    """Of operands of four elements, none but those whose values are sizes makes more than sixteen."""
    counts = [np.asarray([2, 2]), np.asarray([2, 2])]
    operands = {
        "Range": [np.asarray(0), np.asarray(4), np.asarray(1)],
        "GatherND": [np.zeros((2, 2)), np.zeros((4, 1), np.int64)],
    }.get(name, counts)
    assert 0 < result_size(node(name, "a b", "y"), operands) <= 16


def test_a_constant_is_read_by_its_type() -> None:
    made = helper.make_node("Constant", [], ["v"], value_int=3)
    found = constant_of(made)
    assert found is not None
    assert onnx.numpy_helper.to_array(found) == 3
    for kind in range(15):
        for name in ("value", "value_int", "value_ints", "value_float", "value_floats", "value_string", "sparse_value"):
            wrong = onnx.NodeProto(op_type="Constant", output=["v"])
            wrong.attribute.add(name=name, type=kind, s=b"x")  # type: ignore[arg-type]
            constant_of(wrong)


@pytest.mark.parametrize("target", TARGETS)
def test_constants_and_opsets_that_lie_are_checked_like_others(target: str, tmp_path: Path) -> None:
    wrong = onnx.NodeProto(op_type="Constant", output=["v"])
    wrong.attribute.add(name="value_int", type=onnx.AttributeProto.STRING, s=b"x")
    empty = model([node("Add", "x c", "y")])
    empty.graph.initializer.add(name="c", data_type=FLOAT, dims=[0])
    lost = model([node("Add", "x c", "y")])
    lost.graph.initializer.add(name="c", data_type=FLOAT, dims=[2**63 - 1] * 2000)
    negative = model([node("Reshape", "x c", "y")])
    negative.graph.initializer.add(name="c", data_type=INT64, dims=[-2, -1], raw_data=bytes(16))
    for made in (
        model([wrong, node("Add", "x v", "y")]),
        model([node("Relu", "x", "y")], opset=2**40),
        model([node("Relu", "x", "y")], opset=-3),
        empty,
        lost,
        negative,
    ):
        assert check(saved(made, tmp_path), Conditions(target=target)).artifact == "model.onnx"


def test_an_opset_beyond_all_means_the_newest_operators() -> None:
    assert since("Relu", 2**40) == since("Relu", onnx.defs.onnx_opset_version())
    assert since("NoSuch", 2**40) == 0
    assert since("Relu", -5) == 0


def test_sizes_are_counted_up_to_a_limit() -> None:
    assert product([2**63 - 1] * 100_000) == LARGEST
    assert product([2**63 - 1, 0]) == 0
    assert product([-1, -4]) == 0
    assert bytes_of([3], "float16") == 6
    assert bytes_of([2**62], "float64") == LARGEST
    assert bytes_of([3], "no dtype") == 3
    assert Constant(name="c", shape=(-1, -4), dtype="float32", nbytes=16, blocks=lambda: [np.zeros(4)]).value() is None


def test_a_resize_to_a_thousand_million_pixels_is_judged_by_its_beginning(tmp_path: Path) -> None:
    scales = {"s": np.float32([1, 1, 1e9, 1e9])}
    made = model([node("Resize", "q - s", "y", mode="nearest")], [value("q", [1, 1, 1, 1])], constants=scales)
    with memory.AnonymousPeak() as peak:
        before = memory.anonymous_bytes() or 0
        check(saved(made, tmp_path), Conditions(target="ascend"))
    assert (peak.peak_bytes or 0) - before < 1 << 28
    assert taken(("asymmetric", "floor"), 2.0, 3, 6) == (0, 0, 1, 1, 2, 2)
    assert taken(("half_pixel", ROUND_DOWN), 1.0, 0, 5) is None
    assert taken(("half_pixel", ROUND_DOWN), float("nan"), 3, 5) is None
    assert same_for_any_rounding(("half_pixel", ROUND_DOWN), [2.0], [(3, 6)])
    assert not same_for_any_rounding(("asymmetric", ROUND_DOWN), [2.0], [(3, 6)])


@pytest.mark.parametrize("scale", [0.0, -1.0, np.inf, np.nan])
def test_a_scale_that_is_none_is_found_not_computed_with(scale: float, tmp_path: Path) -> None:
    scales = {"s": np.float32([1, 1, scale, scale])}
    made = model([node("Resize", "x - s", "y", mode="nearest")], constants=scales)
    found = check(saved(made, tmp_path), Conditions(target="ascend")).findings
    assert any("scales or sizes that are not constant" in finding.found for finding in found)


def test_calls_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty functions that call the next 3,000 times: as many nodes as there are atoms, counted in 60,000 steps."""
    counted = 0
    original = calls._called

    def watched(nodes: object) -> object:
        nonlocal counted
        for key in original(nodes):  # type: ignore[arg-type]
            counted += 1
            yield key

    monkeypatch.setattr(calls, "_called", watched)
    made = model([node("F0", "x", "y", domain="own")], own=1)
    for level in range(20):
        body = [node(f"F{level + 1}", "a", "z", domain="own")] * 3000
        made.functions.add(name=f"F{level}", domain="own").node.extend(body)
    with pytest.raises(ArtifactError, match=r"at most 1,000,000 nodes .* found 1,000,000,000,000 or more"):
        calls.check_calls(made, Path("model.onnx"))
    assert counted == 20 * 3000 + 1


def test_more_fields_than_any_model_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="more fields than any model has"):
        read(saved(b"\x42\x00" * (FIELDS + 1) + b"\x3a\x02\x0a\x00", tmp_path))
    with pytest.raises(ArtifactError, match="expected at most 1000 opsets"):
        read(saved(b"\x42\x00" * 1001 + b"\x3a\x02\x0a\x00", tmp_path))


def test_findings_of_one_rule_are_told_up_to_a_number(tmp_path: Path) -> None:
    nodes = [onnx.NodeProto(op_type="NoSuch", output=[f"v{place}"]) for place in range(TOLD + 50)]
    found = check(saved(model([*nodes, node("Relu", "x", "y")]), tmp_path), Conditions(target="cpu"))
    unknown = [finding for finding in found.findings if finding.rule == "P02"]
    assert len(unknown) == TOLD + 1
    assert unknown[-1].found == "the same at 50 places more"
