"""``--ranges int8``: a sabotaged file for each finding, and a converted model on the whole road."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import lwmport
from onnx import ModelProto, TensorProto, helper, numpy_helper

from lwmport import processors
from lwmport.models.options import Options
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.pipeline.validate.integers import integers_of
from lwmport.types import Array, Status
from lwmport.validators.integers import Integers, RoundedValues, scale_facts

TERMS = 70_000
SMALL = 8


def product(path: Path, terms: int, weight: int = 20, scale: float = 0.01) -> Path:
    """Save a product of codes, each of the same weight."""
    constants = {
        "s": np.float32(scale), "z": np.int8(-128), "w": np.full((terms, 2), weight, np.int8), "ws": np.float32(0.5),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="round"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["v"], name="back"),
        helper.make_node("DequantizeLinear", ["w", "ws"], ["k"], name="weight"),
        helper.make_node("MatMul", ["v", "k"], ["y"], name="up/dot_general"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, terms])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    made: ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(made.SerializeToString())
    return path


@pytest.fixture
def looked_at(weights_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Integers]:
    """Return what is found on a product of codes, on a processor with VNNI or without."""

    def look(x: Array, *, vnni: bool = True, runner: str = "onnxruntime", **how: Any) -> Integers:
        flags = "fpu avx2" + (" avx512bw avx512dq avx512vl avx512_vnni" if vnni else "")
        monkeypatch.setattr(processors, "described", lambda _: flags)
        path = product(tmp_path / "m.onnx", x.shape[1], **how)
        return integers_of(path, weights_of({}), [{"x": x / 2}, {"x": x}], runner)

    return look


def test_a_sum_beyond_int32_is_named_with_what_to_keep(looked_at: Callable[..., Integers]) -> None:
    x = np.full((1, TERMS), 2.55, np.float32)
    found = looked_at(x, weight=127)
    assert found.status is Status.FAILED
    assert "beyond int32 (2,147,483,647 at most) first appear in up/dot_general: 2,270,000,000" in found.words
    assert "--keep w=float32" in found.words
    fits = looked_at(x, weight=120)
    assert fits.status is Status.PASSED
    assert "up/dot_general comes nearest, 2,140,000,000" in fits.words
    assert "no weights allow one" in fits.words
    assert fits.nearest[0].largest == pytest.approx(TERMS * 120 * 255, rel=1e-3)


def test_pairs_fail_where_this_processor_sums_them_in_16_bits(looked_at: Callable[..., Integers]) -> None:
    x = np.full((1, SMALL), 2.55, np.float32)
    found = looked_at(x, weight=127, vnni=False)
    assert found.status is Status.FAILED
    assert "100.00% of the pairs of up/dot_general saturate, up to 64,770" in found.words
    elsewhere = [looked_at(x, weight=127), looked_at(x, weight=127, vnni=False, runner="openvino")]
    assert [one.status for one in elsewhere] == [Status.PASSED] * 2
    assert [one.nearest[0].pairs for one in elsewhere] == [1.0, 1.0]
    assert "on x86 without VNNI 100.00% of the pairs" in elsewhere[0].words
    assert looked_at(x, weight=64, vnni=False).status is Status.PASSED


def test_clipped_values_are_told_with_their_operator(looked_at: Callable[..., Integers]) -> None:
    x = np.array([[1.0, 2.0, 3.55, -1.0]], np.float32)
    found = looked_at(x)
    assert found.status is Status.PASSED
    assert "50.00% of up/dot_general/inputs are beyond its range, by up to 100 steps" in found.words


def test_scales_with_few_digits_are_told(looked_at: Callable[..., Integers]) -> None:
    found = looked_at(np.zeros((1, 4), np.float32), scale=1e-40)
    assert (found.status, found.poor[0].subnormal) == (Status.PASSED, 1)
    assert "1 of 1 float32 scales are subnormal, with few digits in s" in found.words


def test_a_file_without_integers_and_one_that_does_not_run_are_not_judged(weights_of: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    for name, words in (("broken.onnx", "expected a whole ONNX file"), ("m.tflite", "in an ONNX file alone")):
        found = integers_of(tmp_path / name, weights_of({}), [], "onnxruntime")
        assert (found.status, words in found.words) == (Status.NOT_JUDGED, True), found.words


def test_processors_without_vnni_are_known_by_their_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {
        "avx2": True,
        "avx2 avx_vnni": False,
        "avx2 avx_vnni avx512bw avx512dq avx512vl": True,
        "avx2 avx512bw avx512dq avx512vl avx512_vnni": False,
        "": False,
        None: None,
    }
    for flags, expected in known.items():
        monkeypatch.setattr(processors, "described", lambda _, flags=flags: flags)
        assert processors.sums_pairs_in_16_bits() is expected


def test_a_converted_model_is_looked_at_on_the_whole_road(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"component": "llama-head", "format": "onnx", "config": "debug", "validate": False}
    convert(ConvertRequest(options=Options(quantize="w8a8"), out=tmp_path / "int8", **given))
    words = ("validate", tmp_path / "int8", "--ranges", "int8", "--samples", "1")
    rows = {
        "clipped": (RoundedValues(name="h/inputs", clipped=0.25, steps=9),),
        "poor": (scale_facts("s", np.zeros(2)),),
    }

    def more(*args: Any) -> Integers:
        return replace(integers_of(*args), **rows)

    monkeypatch.setattr("lwmport.pipeline.validate.model_file.integers_of", more)
    run = lwmport(*words, "--out", tmp_path / "report")
    assert run.returncode == 0, run.stdout
    assert "Integers: no sum of integers is beyond int32 on these inputs, and no weights allow one" in run.stdout
    assert "by its weights" in run.stdout
    assert "h/inputs" in run.stdout
    (section,) = json.loads((tmp_path / "report" / "report.json").read_text())["components"]
    (found,) = section["integers"]["nearest"]
    assert (found["weight"], found["terms"]) == ("lm_head/kernel", 32)
    assert 0 < found["largest"] < found["worst"] < 2**20
    for name in ("report.html", "report.md"):
        page = (tmp_path / "report" / name).read_text()
        assert "Largest by its weights" in page
        assert "The farthest, in steps" in page
        assert "Zero points that are no code" in page
    (tmp_path / "int8" / "llama-head.onnx").write_bytes(b"another file")
    assert "is not the file that was converted" in lwmport(*words).stdout


def test_a_model_without_integers_is_refused(tmp_path: Path) -> None:
    convert(
        ConvertRequest(component="llama-head", format="onnx", config="debug", out=tmp_path / "wide", validate=False)
    )
    run = lwmport("validate", tmp_path / "wide", "--ranges", "int8")
    assert run.returncode == 2
    assert "converted without --quantize" in run.stderr


@pytest.mark.parametrize("scale", [np.inf, np.nan])
def test_what_is_infinite_or_no_number_fails(scale: float, looked_at: Callable[..., Integers]) -> None:
    found = looked_at(np.ones((1, SMALL), np.float32), scale=scale)
    assert found.status is Status.FAILED
    assert "infinite or no numbers first appear in s" in found.words
    found = looked_at(np.full((1, SMALL), np.nan, np.float32))
    assert found.status is Status.FAILED
    assert "infinite or no numbers first appear in up/dot_general/inputs" in found.words
