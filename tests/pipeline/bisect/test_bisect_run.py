"""A planted fault is found at its operator, a clean file passes, and an error that no output shows needs --strict."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import Change, weight

import lwmport
from lwmport import Status
from lwmport.reports.bisection import Bisection, as_json

KERNEL = "encoder/DownsamplingBlock_0/ResnetBlock_0/Conv_1/kernel"
BIAS = "encoder/DownsamplingBlock_0/ResnetBlock_0/Conv_1/bias"
PLACE = "encoder/DownsamplingBlock_0/ResnetBlock_0/Conv_1/Conv"
KEYS = "transformer/h/1/attention/wk/kernel"


def searched(path: Path, *, strict: bool = False) -> Bisection:
    return lwmport.bisect(artifact=path, strict=strict, samples=1)


def test_a_clean_file_passes_with_every_tap_equal(encoder: Path) -> None:
    found = searched(encoder, strict=True)
    assert found.status is Status.PASSED
    assert found.first is None
    assert len(found.taps) > 40
    assert all(tap.whole.max_abs == 0 and not tap.enters for tap in found.taps)
    assert {tap.layer for tap in found.taps} > {"", "encoder/MidBlock_0/ResnetBlock_0"}
    assert all(passed for _, _, passed in found.outputs)


@pytest.mark.parametrize(
    ("change", "node", "cause"),
    [
        (weight(KERNEL, lambda a: a.transpose(1, 0, 2, 3)), PLACE, "transposed-kernel"),
        (weight(BIAS, lambda a: 2 * a), PLACE, "doubled-bias"),
    ],
)
def test_a_fault_is_found_at_its_operator(
    encoder: Path, planted: Callable[[Path, Change], Path], change: Change, node: str, cause: str
) -> None:
    found = searched(planted(encoder, change), strict=True)
    assert found.status is Status.FAILED
    assert found.first is not None
    assert (found.first.node, found.first.cause) == (node, cause)
    assert found.first.own_inputs.max_abs > 0
    assert [tap.node for tap in found.taps if tap.enters] == [node]
    behind = found.taps[[tap.node for tap in found.taps].index(node) + 1 :]
    assert any(tap.whole.max_abs > 0 for tap in behind)
    assert not any(tap.own is None or tap.own.max_abs for tap in behind)


def test_an_error_that_no_output_shows_needs_strict(encoder: Path, planted: Callable[[Path, Change], Path]) -> None:
    path = planted(encoder, weight(BIAS, lambda a: a + np.float32(1e-7)))
    usual, strict = searched(path), searched(path, strict=True)
    assert (usual.status, usual.first) == (Status.PASSED, None)
    assert [tap.node for tap in usual.taps if tap.harmless] == [PLACE]
    assert any("--strict" in note for note in usual.notes)
    assert strict.status is Status.FAILED
    assert strict.first is not None
    assert strict.first.node == PLACE


def test_an_operator_that_is_put_in_is_found(encoder: Path, planted: Callable[[Path, Change], Path]) -> None:
    def rounded(model: onnx.ModelProto, _: Path) -> None:
        graph = model.graph
        number, node = next((n, node) for n, node in enumerate(graph.node) if node.name == PLACE)
        half = onnx.helper.make_node("Cast", [node.input[0]], ["half"], name="to_half", to=onnx.TensorProto.FLOAT16)
        wide = onnx.helper.make_node("Cast", ["half"], ["wide"], name="to_wide", to=onnx.TensorProto.FLOAT)
        node.input[0] = "wide"
        graph.node.insert(number, wide)
        graph.node.insert(number, half)

    found = searched(planted(encoder, rounded), strict=True)
    assert found.first is not None
    assert found.first.node in {"to_half", "to_wide"}
    assert [tap.node for tap in found.taps if tap.enters] == [found.first.node]


def test_an_operator_in_a_branch_is_found(language_model: Path, planted: Callable[[Path, Change], Path]) -> None:
    def halved(model: onnx.ModelProto, _: Path) -> None:
        node = next(node for node in model.graph.node if node.op_type == "If")
        inner = next(item for item in node.attribute[0].g.node if item.op_type == "GroupQueryAttention")
        next(item for item in inner.attribute if item.name == "scale").f *= 0.5

    found = searched(planted(language_model, halved))
    assert found.first is not None
    assert found.first.operator == "com.microsoft::GroupQueryAttention"
    assert found.first.cause == "wrong-attribute"


def test_a_graph_that_does_not_run_is_found_where_it_does_not(
    language_model: Path, planted: Callable[[Path, Change], Path]
) -> None:
    def cut(model: onnx.ModelProto, _: Path) -> None:
        node = next(node for node in model.graph.node if KEYS in node.input)
        tensor = next(item for item in model.graph.initializer if item.name == KEYS)
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.ones((3, 5), np.float32), KEYS))
        assert node.name

    found = searched(planted(language_model, cut))
    assert found.status is Status.FAILED
    assert found.first is not None
    assert found.first.operator == "MatMul"
    assert "does not run" in found.first.explanation


def test_the_document_is_the_contract(encoder: Path, planted: Callable[[Path, Change], Path], tmp_path: Path) -> None:
    path = planted(encoder, weight(BIAS, lambda a: 2 * a))
    out = tmp_path / "search"
    found = lwmport.bisect(artifact=path, strict=True, samples=1, out=out)
    document = as_json(found)
    assert set(document) >= {"status", "first", "taps", "peak_bytes", "seconds"}
    assert document["status"] == "failed"
    first = {"tap", "node", "operator", "output", "max_abs", "sqnr_db", "own_inputs_max_abs", "cause", "explanation"}
    assert set(document["first"]) >= first
    assert all(set(tap) >= {"tap", "node", "max_abs", "sqnr_db", "cosine", "enters"} for tap in document["taps"])
    assert {item.name for item in out.iterdir()} == {"bisect.html", "bisect.md", "bisect.json", "bisect.junit.xml"}
    assert found.peak_bytes > 0
    assert "lwmport bisect" in found.command


def test_what_reads_another_tensor_is_named_by_elimination(
    language_model: Path, planted: Callable[[Path, Change], Path]
) -> None:
    def rewired(model: onnx.ModelProto, _: Path) -> None:
        names = [f"transformer/h/1/attention/{name}/kernel" for name in ("wq", "wk")]
        queries, keys = (next(node for node in model.graph.node if name in node.input) for name in names)
        keys.input[0] = queries.output[0]

    path = planted(language_model, rewired)
    for reference in ("jax", str(language_model)):
        found = lwmport.bisect(artifact=path, reference=reference, samples=1)
        assert found.first is not None
        assert (found.first.operator, found.first.cause) == ("MatMul", "wrong-wiring")
        assert "it reads" in found.first.explanation.lower()
