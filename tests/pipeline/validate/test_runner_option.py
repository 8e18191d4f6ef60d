"""An artifact, or what a compiler made of it, judged in the runner that is named."""

import json
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from click.testing import CliRunner

import lwmport
from lwmport import extras, plain
from lwmport.cli.main import cli
from lwmport.errors import ArtifactError, RunnerError, UsageError
from lwmport.pipeline.compile.run import CompileRequest, compile_artifacts
from lwmport.pipeline.convert import validation
from lwmport.pipeline.observer import Silent
from lwmport.pipeline.port.compiled_run import judge_compiled
from lwmport.pipeline.validate.request import ValidateRequest
from lwmport.pipeline.validate.run import validate
from lwmport.pipeline.validate.subject import Subject
from lwmport.runtime.registry import RUNNERS
from lwmport.runtime.runners.onnxruntime import OnnxRuntimeRunner
from lwmport.types import Compilation, Status

SMALL = {
    "vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_sequence_length": 64,
}  # fmt: skip


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runner") / "out"
    request = lwmport.ConvertRequest(component="llama-head", format="onnx", dialect="onnx", out=out, config=SMALL)
    made = lwmport.convert(request)
    assert made.status is Status.PASSED
    assert not any("--runner" in line for line in made.manifest.reproduce)
    return out


def runner_of(found: Any) -> str:
    (section,) = found.report.components
    return str(section.validation.runner)


def test_the_runner_that_is_named_judges(converted: Path, tmp_path: Path) -> None:
    found = validate(ValidateRequest(artifact=converted, runner="openvino", out=tmp_path / "report"))
    assert (found.status, runner_of(found)) == (Status.PASSED, "OpenVINO")
    assert json.loads((tmp_path / "report" / "report.json").read_text())["components"][0]["validation"]["runner"]
    assert runner_of(validate(ValidateRequest(artifact=converted))) == "ONNX Runtime"


def test_a_conversion_is_judged_in_the_runner_that_is_named(tmp_path: Path) -> None:
    request = lwmport.ConvertRequest(
        component="llama-head", format="onnx", dialect="onnx", out=tmp_path, config=SMALL, runner="openvino"
    )
    made = lwmport.convert(request)
    assert (made.status, runner_of(made)) == (Status.PASSED, "OpenVINO")
    assert all(" --runner openvino" in line for line in made.manifest.reproduce)


def test_the_direct_lowering_beside_a_route_is_judged_in_the_same_runner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "ROUTES", {"onnx": "a stand-in for another route"})
    request = lwmport.ConvertRequest(
        component="llama-head", format="onnx", dialect="onnx", out=tmp_path, config=SMALL, runner="openvino"
    )
    sections = lwmport.convert(request).report.components
    assert [(part.validation.component, part.validation.runner) for part in sections] == [
        ("llama-head", "OpenVINO"),
        ("llama-head, directly", "OpenVINO"),
    ]


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "unknown": ({"runner": "openvno"}, UsageError, "did you mean 'openvino'"),
    "another file's": ({"runner": "litert"}, UsageError, "for .onnx, use --runner onnxruntime or openvino"),
    "not here": ({"runner": "migraphx"}, RunnerError, "the runner migraphx cannot start here: expected "),
    "no cards": ({"device": 1}, UsageError, "expected --device with --runner ascend, found it for onnxruntime"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_runner_that_cannot_judge_costs_one_line(case: str, converted: Path) -> None:
    options, kind, message = REFUSED[case]
    with pytest.raises(kind, match=message) as caught:
        validate(ValidateRequest(artifact=converted, **options))
    assert "\n" not in str(caught.value)


def test_the_command_line_names_a_runner(converted: Path) -> None:
    done = CliRunner().invoke(cli, ["validate", str(converted), "--runner", "openvino", "--json"])
    assert done.exit_code == 0, done.output
    assert "OpenVINO" in done.stdout


def test_an_artifact_is_loaded_in_the_runner_that_is_named(converted: Path) -> None:
    inputs = {"hidden_states": np.ones((1, 4, 64), np.float32)}
    with lwmport.load(converted / "llama-head.onnx", runner="openvino") as model:
        assert model.runner.name == "OpenVINO"
        found = model.run(**inputs)
    with pytest.raises(RunnerError, match="closed"):
        model.run(**inputs)
    with lwmport.load(converted / "llama-head.onnx") as model:
        expected = model.run(**inputs)
    assert {name: np.allclose(array, expected[name], atol=1e-4) for name, array in found.items()} == dict.fromkeys(
        expected, True
    )


def test_what_the_cpus_compiler_made_is_judged_as_the_model_that_it_was_made_of(converted: Path) -> None:
    folder = converted.parent / "cpu"
    compile_artifacts(CompileRequest(artifact=converted, target="cpu", out=folder))
    found = validate(ValidateRequest(artifact=folder / "llama-head.optimised.onnx"))
    assert (found.status, runner_of(found)) == (Status.PASSED, "ONNX Runtime")
    assert found.report is not None
    (section,) = found.report.components
    assert next(file.name for file in section.artifact.files) == "llama-head.optimised.onnx"


class Session:
    """A stand-in for ais_bench's, on which a device computes what ONNX Runtime does, and adds ``error``."""

    devices: ClassVar[list[int]] = []

    def __init__(self, model: Path, error: float, device_id: int, model_path: str) -> None:
        assert Path(model_path).name == "llama-head.om"
        self.devices.append(device_id)
        self._runner, self._error = OnnxRuntimeRunner(model, 1), error

    def get_inputs(self) -> list[Any]:
        return [self._port(spec) for spec in self._runner.inputs]

    def get_outputs(self) -> list[Any]:
        return [self._port(spec) for spec in self._runner.outputs]

    def _port(self, spec: Any) -> Any:
        shape = [-1 if isinstance(dim, str) else dim for dim in spec.shape]
        return types.SimpleNamespace(name=spec.name, shape=shape, datatype=f"dtype.{spec.dtype}", size=0)

    def set_dynamic_dims(self, _: str) -> None:
        pass

    def set_dynamic_batchsize(self, _: str) -> None:
        pass

    def run(self, feeds: list[Any], *, out_array: bool) -> list[Any]:
        assert out_array
        return self.infer(feeds)

    def infer(self, feeds: list[Any], mode: str = "static") -> list[Any]:
        assert mode == "static"
        names = [spec.name for spec in self._runner.inputs]
        found = self._runner.run(dict(zip(names, feeds, strict=True)))
        return [found[spec.name] + np.float32(self._error) for spec in self._runner.outputs]


@pytest.fixture
def ascend(converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Path]:
    """Return what makes a compiled file on a stand-in of the device, with the record of its compilation beside."""

    def make(error: float) -> Path:
        interface = types.ModuleType("ais_bench.infer.interface")
        vars(interface)["InferSession"] = lambda device_id, model_path: Session(
            converted / "llama-head.onnx", error, device_id, model_path
        )
        for name in ("ais_bench", "ais_bench.infer"):
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        monkeypatch.setitem(sys.modules, "ais_bench.infer.interface", interface)
        monkeypatch.setattr(extras, "installed", lambda name: name == "ais_bench")
        monkeypatch.setitem(RUNNERS.table, "ascend", replace(RUNNERS["ascend"], needs=()))  # type: ignore[misc]
        (tmp_path / "llama-head.om").write_bytes(b"om")
        text = json.dumps(plain.encode(record(converted)))
        (tmp_path / "llama-head.compilation.json").write_text(text)
        return tmp_path / "llama-head.om"

    return make


def record(converted: Path) -> Compilation:
    return Compilation(
        component="llama-head",
        artifact="llama-head.onnx",
        target="ascend",
        tool="atc",
        status=Status.PASSED,
        reason="ATC run success",
        folder=str(converted),
        commands=(),
        products=("llama-head.om",),
        details={"precision": "mixed"},
    )


@pytest.mark.parametrize(("error", "status"), [(0.0, Status.PASSED), (1.0, Status.FAILED)])
def test_a_compiled_file_is_judged_on_its_device(error: float, status: Status, ascend: Callable[[float], Path]) -> None:
    found = validate(ValidateRequest(artifact=ascend(error), runner="ascend", device=1))
    assert (found.status, runner_of(found), Session.devices[-1]) == (status, "Ascend", 1)
    assert found.report is not None
    (section,) = found.report.components
    assert (section.artifact.format, section.artifact.precision) == ("om", "float16")


@pytest.mark.parametrize(
    ("compiled", "converted", "judged"),
    [
        ("", "float32", "float32"),
        ("float32", "float16", "float16"),
        ("float16", "float32", "float16"),
        ("bfloat16", "float16", "bfloat16"),
    ],
)
def test_the_coarser_precision_counts(compiled: str, converted: str, judged: str) -> None:
    part: Any = None
    assert Subject(path=Path(), part=part, form="om", precision=compiled).judged_in(converted) == judged


def test_without_its_record_a_compiled_file_has_the_signature_of_the_reference(
    ascend: Callable[[float], Path], converted: Path
) -> None:
    path = ascend(0.0)
    path.with_name("llama-head.compilation.json").unlink()
    with pytest.raises(ArtifactError, match="name the converted model by --reference"):
        validate(ValidateRequest(artifact=path, runner="ascend"))
    request = ValidateRequest(artifact=path, runner="ascend", reference=str(converted))
    assert validate(request).status is Status.PASSED


BROKEN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another component": lambda value: value.update(component="llama-embed"),
    "another folder": lambda value: value.update(folder="/nowhere"),
    "no record": lambda value: value.clear(),
    "another product": lambda value: value.update(products=["other.om"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_record_costs_one_line(case: str, ascend: Callable[[float], Path]) -> None:
    path = ascend(0.0)
    file = path.with_name("llama-head.compilation.json")
    value = json.loads(file.read_text())
    BROKEN[case](value)
    file.write_text(json.dumps(value))
    with pytest.raises(ArtifactError) as caught:
        validate(ValidateRequest(artifact=path, runner="ascend"))
    assert "\n" not in str(caught.value)


def test_a_port_judges_what_its_compiler_made(ascend: Callable[[float], Path], converted: Path) -> None:
    path = ascend(0.0)
    made = (record(converted),)
    status, sentence = judge_compiled(made, path.parent, "ascend", (None, None), Silent())
    assert (status, sentence.startswith("llama-head.om in ascend: ")) == (Status.PASSED, True)
    assert (path.parent / "report" / "llama-head.om" / "report.html").is_file()
    with pytest.raises(UsageError, match=r"expected a compiled file that compass runs \(.txt\), found llama-head.om"):
        judge_compiled(made, path.parent, "compass", (None, None), Silent())
