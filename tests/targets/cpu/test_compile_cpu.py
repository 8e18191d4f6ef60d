"""This processor: what is compiled runs and agrees with the artifact, or it is no result."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from lwmport import extras, memory
from lwmport.errors import UsageError
from lwmport.models.families import COMPONENTS
from lwmport.models.options import Options
from lwmport.pipeline.compile.run import CompileRequest, compile_artifacts
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.pipeline.validate.subject import subjects_of
from lwmport.runtime.error_lines import ReportedError
from lwmport.runtime.registry import open_runner
from lwmport.runtime.spec import RunnerContext
from lwmport.targets.compile.job import CompileJob
from lwmport.targets.compile.samples import samples
from lwmport.targets.cpu import compile as cpu
from lwmport.targets.cpu.attempt import Attempt
from lwmport.targets.cpu.target import CPU
from lwmport.targets.dialects import ALL_DIALECTS
from lwmport.types import ROUNDED_PRODUCTS, Status, TensorSpec
from lwmport.validators.values import sqnr_db

OPENVINO = pytest.mark.skipif(not extras.installed("openvino"), reason="pip install 'lwmport[openvino]'")


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    out = tmp_path_factory.mktemp("decoder")
    convert(
        ConvertRequest(
            component="vqgan-decoder", format="onnx", dialect="onnx", config="debug", out=out, validate=False
        )
    )
    return out


ENGINES = [
    ("onnxruntime", "float32", {"vqgan-decoder.optimised.onnx", "vqgan-decoder.optimised.onnx.data"}),
    pytest.param("openvino", "float32", {"vqgan-decoder.xml", "vqgan-decoder.bin"}, marks=OPENVINO),
    pytest.param("openvino", "bfloat16", {"vqgan-decoder.xml", "vqgan-decoder.bin"}, marks=OPENVINO),
]


@pytest.mark.parametrize(("engine", "precision", "files"), ENGINES)
def test_engines(engine: str, precision: str, files: set[str], decoder: Path, tmp_path: Path) -> None:
    request = CompileRequest(artifact=decoder, target="cpu", soc=engine, precision=precision, out=tmp_path / "out")
    (found,) = compile_artifacts(request)
    assert found.status is Status.PASSED, found.reason
    assert set(found.products) == files
    assert any(name.endswith(CPU.made_of("onnx", engine)) for name in files)
    assert {path.name for path in request.folder.iterdir()} == files | {"vqgan-decoder.compilation.json"}


def test_int8_rounds_what_is_multiplied_with_integers_and_is_judged_so(tmp_path: Path) -> None:
    options = Options(quantize="w4a16")
    convert(
        ConvertRequest(
            component="llama-head", format="onnx", config="debug", out=tmp_path, options=options, validate=False
        )
    )
    request = CompileRequest(artifact=tmp_path, target="cpu", precision="int8", out=tmp_path / "out")
    (found,) = compile_artifacts(request)
    assert found.status is Status.PASSED, found.reason
    path = tmp_path / "out" / "llama-head.optimised.onnx"
    nodes = onnx.load(path, load_external_data=False).graph.node
    levels = {a.i for node in nodes for a in node.attribute if a.name == "accuracy_level"}
    assert levels == {4}
    (item,) = subjects_of(path).items
    assert (item.hint, item.precision, item.recorded) == ("int8", ROUNDED_PRODUCTS, True)
    given = samples(item.part.signature.inputs, {})
    exact, rounded = (
        open_runner(tmp_path / "llama-head.onnx", RunnerContext(precision=precision)).run(given)["logits"]
        for precision in ("float32", "int8")
    )
    assert 30 < sqnr_db(exact, rounded) < 60
    assert np.array_equal(open_runner(path).run(given)["logits"], rounded)


PRECISIONS = [(name, precision) for name in COMPONENTS for precision in ALL_DIALECTS["cpu"].precisions]


@pytest.mark.parametrize(("component", "precision"), PRECISIONS)
def test_the_optimised_model_of_every_component_opens_and_agrees(
    component: str, precision: str, tmp_path: Path
) -> None:
    model = ConvertRequest(
        component=component,
        format="onnx",
        dialect="cpu",
        config="debug",
        out=tmp_path,
        options=Options(precision=precision),
        validate=False,
    )
    convert(model)
    found = compile_artifacts(CompileRequest(artifact=tmp_path, target="cpu", out=tmp_path / "out"))
    assert [item.reason for item in found if item.status is not Status.PASSED] == []
    assert all("agrees with" in item.reason for item in found)


def test_an_engine_that_is_not_installed_is_skipped(
    decoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_arguments: Any) -> Any:
        raise extras.missing(ModuleNotFoundError(name="openvino"))

    monkeypatch.setattr(cpu, "attempt", none)
    (found,) = compile_artifacts(CompileRequest(artifact=decoder, target="cpu", soc="openvino", out=tmp_path / "out"))
    assert found.status is Status.SKIPPED
    assert "pip install 'lwmport[openvino]'" in found.reason


def test_a_model_that_memory_is_scarce_for_is_left_as_it_is(
    decoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "total_bytes", lambda: 1000)
    (found,) = compile_artifacts(CompileRequest(artifact=decoder, target="cpu", out=tmp_path / "out"))
    assert found.status is Status.SKIPPED
    assert "found 1,000; run the command on a larger machine" in found.reason
    assert found.commands
    assert not found.files


def lie(monkeypatch: pytest.MonkeyPatch, expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Let every compilation make what gives one thing, where the artifact gives another."""
    monkeypatch.setattr(cpu, "attempt", lambda *_: Attempt(expected=[expected], found=[found], seconds=0.0))


RIGHT = {"image": np.linspace(-1, 1, 12, dtype=np.float32).reshape(1, 12), "codes": np.arange(4)}

LIES = {
    "sign": ({"image": -RIGHT["image"]}, "dB from"),
    "shift": ({"image": np.roll(RIGHT["image"], 1)}, "dB from"),
    "nan": ({"image": np.full((1, 12), np.nan, np.float32)}, "12 of 12 values are not finite"),
    "one infinity": (
        {"image": np.where(np.arange(12) == 3, np.inf, RIGHT["image"]).astype(np.float32)},
        "image: 1 of 12 values are not finite, expected numbers as in the artifact's own output",
    ),
    "zeros": ({"image": np.zeros((1, 12), np.float32)}, "dB from"),
    "shape": ({"image": RIGHT["image"][:, :6]}, "found float32[1, 6]"),
    "dtype": ({"image": RIGHT["image"].astype(np.float16)}, "found float16"),
    "integers": ({"codes": np.arange(4) + 1}, "100.00% of the integers differ"),
    "missing": ({"codes": None}, "found nothing"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_compiled_model_that_computes_something_else_fails(
    name: str, job_of: Callable[..., CompileJob], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    changes, message = LIES[name]
    wrong = {key: value for key, value in {**RIGHT, **changes}.items() if value is not None}
    (tmp_path / "scratch").mkdir()
    lie(monkeypatch, RIGHT, wrong)
    found = cpu.compile_artifact(job_of(), tmp_path / "out")
    assert found.status is Status.FAILED
    assert message in found.reason
    lie(monkeypatch, RIGHT, RIGHT)
    assert cpu.compile_artifact(job_of(), tmp_path / "out").status is Status.PASSED


CODED = {"image": RIGHT["image"], "codes": np.arange(40)}


def _moved(count: int) -> Any:
    return np.where(np.arange(40) < count, 99, CODED["codes"])


BFLOAT16: dict[str, tuple[dict[str, Any], Status, str]] = {
    "as it was": ({}, Status.PASSED, "and agrees with model.onnx on samples"),
    "near codes": (
        {"codes": _moved(4)},
        Status.PASSED,
        "agrees with model.onnx on samples, but for some integers of c",
    ),
    "other codes": ({"codes": _moved(5)}, Status.FAILED, "12.50% of the integers differ, expected at most 10%"),
    "a picture of other codes": ({"codes": _moved(1), "image": -CODED["image"]}, Status.PASSED, "; not judged: image"),
    "garbage": ({"codes": _moved(40), "image": -CODED["image"]}, Status.FAILED, "100.00% of the integers differ"),
    "NaN": ({"codes": _moved(1), "image": CODED["image"] * np.nan}, Status.FAILED, "are not finite"),
    "a picture of the same codes": ({"image": -CODED["image"]}, Status.FAILED, "dB from"),
}


@pytest.mark.parametrize("name", BFLOAT16)
def test_bfloat16_may_move_some_codes_and_no_more(
    name: str, job_of: Callable[..., CompileJob], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    changes, status, message = BFLOAT16[name]
    lie(monkeypatch, CODED, {**CODED, **changes})
    found = cpu.compile_artifact(job_of(precision="bfloat16", soc="openvino"), tmp_path / "out")
    assert (found.status, message in found.reason) == (status, True), found.reason
    judged = "not judged" not in found.reason
    assert judged or ("agrees" not in found.reason and found.details["image"].startswith("not judged"))


NAN = {"image": np.where(np.arange(12) % 3 == 0, np.nan, RIGHT["image"]).astype(np.float32), "codes": RIGHT["codes"]}
LOST = "not finite in the output of model.onnx itself on these samples"
AGREES = "runs in onnxruntime and agrees with model.onnx on samples"

NOT_FINITE: dict[str, tuple[dict[str, Any], dict[str, Any], Status, str]] = {
    "the same": (NAN, NAN, Status.PASSED, f"{AGREES}; not judged: 4 of 12 values of image, {LOST}"),
    "a number instead": (NAN, RIGHT, Status.PASSED, f"{AGREES}; not judged: 4 of 12 values of image, {LOST}"),
    "other numbers beside": (NAN, {**NAN, "image": -NAN["image"]}, Status.FAILED, "image: -6.0 dB from"),
    "one more": (
        NAN,
        {**NAN, "image": np.where(np.arange(12) == 1, np.nan, NAN["image"]).astype(np.float32)},
        Status.FAILED,
        "image: 1 of 12 values are not finite",
    ),
    "nothing else": (
        {"image": NAN["image"] * np.nan},
        {"image": NAN["image"] * np.nan},
        Status.PASSED,
        f"runs in onnxruntime; not judged: image, {LOST}",
    ),
    "nothing else in one of two": (
        {**RIGHT, "image": NAN["image"] * np.nan},
        RIGHT,
        Status.PASSED,
        f"{AGREES}; not judged: image, {LOST}",
    ),
}


@pytest.mark.parametrize("name", NOT_FINITE)
def test_what_is_not_finite_in_the_artifact_itself_is_not_judged(
    name: str, job_of: Callable[..., CompileJob], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected, outputs, status, message = NOT_FINITE[name]
    lie(monkeypatch, expected, outputs)
    found = cpu.compile_artifact(job_of(), tmp_path / "out")
    assert (found.status, message in found.reason) == (status, True), found.reason
    assert "nan" not in found.reason


STEPPED = {"image": np.linspace(-120, 120, 40).astype(np.int8), "scores": np.linspace(-1, 1, 40, dtype=np.float32)}
QUANTISED: dict[str, tuple[bool, dict[str, Any], Status]] = {
    "one step beside": (True, {"image": STEPPED["image"] + np.int8(1)}, Status.PASSED),
    "numbers of 8 bits": (True, {"scores": STEPPED["scores"] * np.float32(1.01)}, Status.PASSED),
    "something else": (True, {"image": -STEPPED["image"]}, Status.FAILED),
    "other numbers": (True, {"scores": -STEPPED["scores"]}, Status.FAILED),
    "one step beside, of no quantised model": (False, {"image": STEPPED["image"] + np.int8(1)}, Status.FAILED),
    "numbers of 8 bits, of no quantised model": (
        False,
        {"scores": STEPPED["scores"] * np.float32(1.01)},
        Status.FAILED,
    ),
}


@pytest.mark.parametrize("name", QUANTISED)
def test_engines_may_round_a_quantised_model_to_neighbouring_steps(
    name: str, job_of: Callable[..., CompileJob], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    quantised, changes, status = QUANTISED[name]
    lie(monkeypatch, STEPPED, {**STEPPED, **changes})
    found = cpu.compile_artifact(job_of(quantised=quantised), tmp_path / "out")
    assert found.status is status, found.reason


def _attention(path: Path, kept: int) -> Path:
    """Write attention whose integer mask [2, 6] keeps a key where it is ``kept``."""
    helper, float32, int64 = onnx.helper, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    nodes = [
        helper.make_node("Equal", ["mask", "kept"], ["keeps"]),
        helper.make_node("Unsqueeze", ["keeps", "axis"], ["wide"]),
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["x", "t"], ["scores"]),
        helper.make_node("Where", ["wide", "scores", "infinity"], ["masked"]),
        helper.make_node("Softmax", ["masked"], ["shares"], axis=-1),
        helper.make_node("MatMul", ["shares", "x"], ["y"]),
    ]
    constants = {"kept": np.int64(kept), "axis": np.array([1]), "infinity": np.float32(-np.inf)}
    graph = helper.make_graph(
        nodes,
        "attention",
        [
            helper.make_tensor_value_info("x", float32, [2, 6, 8]),
            helper.make_tensor_value_info("mask", int64, [2, 6]),
        ],
        [helper.make_tensor_value_info("y", float32, [2, 6, 8])],
        [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize("kept", [0, 1])
def test_an_integer_mask_leaves_something_to_judge(kept: int, tmp_path: Path) -> None:
    artifact = _attention(tmp_path / "attention.onnx", kept)
    (found,) = compile_artifacts(CompileRequest(artifact=artifact, target="cpu", out=tmp_path / "out"))
    assert found.status is Status.PASSED, found.reason
    assert found.reason.endswith("agrees with attention.onnx on samples")


def test_a_table_of_one_row_is_looked_into_at_0(tmp_path: Path) -> None:
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "places"], ["y"])],
        "table",
        [helper.make_tensor_value_info("places", onnx.TensorProto.INT64, [3])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [3, 4])],
        [onnx.numpy_helper.from_array(np.ones((1, 4), np.float32), "table")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "t.onnx")
    (found,) = compile_artifacts(CompileRequest(artifact=tmp_path / "t.onnx", target="cpu", out=tmp_path / "out"))
    assert found.status is Status.PASSED, found.reason


SHAPES = [(), (1,), (4,), (2, 6), (2, 3, 2), (0,)]


@pytest.mark.parametrize("shape", SHAPES)
def test_masks_keep_and_take_something_in_each_row(shape: tuple[int, ...]) -> None:
    spec = TensorSpec(name="mask", shape=shape, dtype="int64")
    found = samples((spec,), {})["mask"]
    assert (found.shape, found.dtype, set(found.reshape(-1)) <= {0, 1}) == (shape, np.int64, True)
    if shape and shape[-1] > 1:
        assert found.any(axis=-1).all()
        assert not found.all(axis=-1).any()
    assert not samples((spec,), {}, masks=False)["mask"].any()


def test_damage_is_a_failure_and_leaves_its_record(job_of: Callable[..., CompileJob], tmp_path: Path) -> None:
    found = cpu.compile_artifact(job_of(), tmp_path / "out")
    assert found.status is Status.FAILED
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.compilation.json"]


BAD = {
    "an engine of another format": ({"soc": "litert"}, "onnxruntime, openvino"),
    "bfloat16 in ONNX Runtime": ({"precision": "bfloat16"}, "--soc openvino"),
    "int8 of a model without integers": ({"precision": "int8"}, "expected weights of integers for int8"),
    "float16": ({"precision": "float16"}, "found float16"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_no_engine_takes_is_refused(name: str, job_of: Callable[..., CompileJob], tmp_path: Path) -> None:
    fields, message = BAD[name]
    with pytest.raises(UsageError, match=message):
        cpu.compile_artifact(replace(job_of(), **fields), tmp_path / "out")


def test_a_run_about_which_the_runtime_reports_an_error_is_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error line beside a result: neither a pass nor a failure."""

    def reported(*_: object) -> None:
        raise ReportedError("ONNX Runtime reports an error, so that what it returned is not judged: [E:onnxruntime")

    monkeypatch.setattr(cpu, "attempt", reported)
    path = tmp_path / "relu.onnx"
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", ["x"], ["y"])], "relu", [value("x", 1, [1, 4])], [value("y", 1, [1, 4])]
    )
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    (found,) = compile_artifacts(CompileRequest(artifact=path, target="cpu", out=tmp_path / "out"))
    assert found.status is Status.SKIPPED
    assert "not judged" in found.reason
