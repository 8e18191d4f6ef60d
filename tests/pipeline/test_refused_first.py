"""What cannot end well is refused before work starts: a folder that cannot be written, a runtime that is not there."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lwmport
from lwmport.errors import LoweringError, MissingExtraError, PortError, RunnerError, UsageError
from lwmport.pipeline.check import CheckRequest, fix_artifact
from lwmport.pipeline.convert import run as conversion
from lwmport.runtime.registry import RUNNERS

VQGAN: dict[str, Any] = {"component": "vqgan-encoder", "config": "debug"}


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "out"
    lwmport.convert(**VQGAN, format="onnx", out=out)
    return out


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a component is traced, a reference is run, a file is digested or a model is mended."""

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("work was begun")

    for name in ("pipeline.convert.run.lower", "pipeline.validate.model_file.gather", "pipeline.bundle.run.take",
                 "manifest.changed_files", "pipeline.check.mend", "pipeline.compile.run.made_samples"):  # fmt: skip
        monkeypatch.setattr(f"lwmport.{name}", never)


def without(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)


OUTS: dict[str, Callable[[Path, Path], object]] = {
    "convert": lambda _, out: lwmport.convert(**VQGAN, format="onnx", out=out),
    "port": lambda _, out: lwmport.port(
        conversion=lwmport.ConvertRequest(**VQGAN, format="onnx", out=out), target="cpu"
    ),
    "validate": lambda models, out: lwmport.validate(artifact=models, out=out),
    "compile": lambda models, out: lwmport.compile(artifact=models, target="cpu", out=out),
    "bundle": lambda models, out: lwmport.bundle(folder=models, target="cpu", out=out / "b.zip"),
    "fix": lambda models, out: fix_artifact(
        CheckRequest(artifact=models / "vqgan-encoder.onnx", target="cpu"), out / "fixed.onnx"
    ),
}


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("command", OUTS)
def test_an_out_below_a_file_is_refused_first(command: str, converted: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(
        UsageError, match=r"expected a folder at .*file for the results, found a file; name another --out"
    ):
        OUTS[command](converted, tmp_path / "file" / "deeper")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("command", OUTS)
def test_a_folder_of_somebody_else_is_refused_first(
    command: str, converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # whoever runs tests as root may write anywhere
    with pytest.raises(UsageError, match=r"expected a folder that can be written at .*, found one that cannot"):
        OUTS[command](converted, tmp_path / "new")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("form", "more", "module", "extra"),
    [
        ("saved_model", {}, "tensorflow", "tf"),
        ("frozen_graph", {}, "tensorflow", "tf"),
        ("onnx", {"dialect": "tf2onnx"}, "tf2onnx", "tf"),
        ("onnx", {"dialect": "tf2onnx"}, "onnxsim", "tf"),
        ("tflite", {}, "flatbuffers", "tflite"),
    ],
)
def test_a_module_that_writes_the_format_is_missed_first(
    form: str, more: dict[str, Any], module: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, module)
    with pytest.raises(MissingExtraError, match=rf"expected the module '{module}'.*lwmport\[{extra}\]"):
        lwmport.convert(**VQGAN, format=form, out=tmp_path / "out", **more)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("component", "form", "module"),
    [("vqgan-encoder", "onnx", "onnxruntime"), ("llama", "hf", "transformers"), ("llama", "hf", "torch")],
)
def test_a_runtime_that_judges_is_missed_first(
    component: str, form: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, module)
    with pytest.raises(RunnerError, match=f"expected the module {module}.*or add --no-validate"):
        lwmport.convert(component=component, config="debug", format=form, out=tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_without_judging_no_runtime_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "onnxruntime")
    found = lwmport.convert(**VQGAN, format="onnx", out=tmp_path / "out", validate=False)
    assert found.status == "not judged"


@pytest.mark.usefixtures("no_work")
def test_a_runtime_of_the_artifact_is_missed_before_it_is_judged(
    converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "onnxruntime")
    assert lwmport.validate(artifact=converted).status == "not judged"
    with pytest.raises(RunnerError, match="the runner onnxruntime cannot start here: expected the module onnxruntime"):
        lwmport.validate(artifact=converted, runner="onnxruntime")


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("form", "dialect"), [("frozen_graph", "graphdef"), ("tflite", "aipu-tflite"), ("onnx", "tf2onnx")]
)
def test_weights_that_no_file_holds_are_refused_first(form: str, dialect: str, tmp_path: Path) -> None:
    with pytest.raises(LoweringError, match="expected at most 2147483647 bytes of weights"):
        lwmport.convert(component="llama", format=form, dialect=dialect, out=tmp_path / "out", validate=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("target", "soc", "message"),
    [
        ("ascend", "gfx936", "expected --soc out of .*, found 'gfx936'"),
        ("ascend", None, "expected --soc out of .*, found none"),
        ("migraphx", "Ascend310P3", "expected --soc out of .*, found 'Ascend310P3'"),
        ("aipu", "X9_9999", "expected --soc out of .*, found 'X9_9999'"),
    ],
)
def test_a_chip_of_another_target_is_refused_first(
    target: str, soc: str | None, message: str, converted: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        lwmport.compile(artifact=converted, target=target, soc=soc, out=tmp_path / "out")
    with pytest.raises(UsageError, match=message):
        lwmport.bundle(folder=converted, target=target, soc=soc, out=tmp_path / "b.zip")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("no_work")
def test_a_runner_that_cannot_start_is_refused_first(tmp_path: Path) -> None:
    asked = lwmport.ConvertRequest(**VQGAN, format="onnx", out=tmp_path / "out", runner="compass")
    with pytest.raises(PortError, match="the runner compass cannot start here"):
        lwmport.port(conversion=asked, target="aipu")
    assert RUNNERS["compass"].why_not()
    assert not list(tmp_path.iterdir())


def test_the_tests_watch_what_is_run() -> None:
    assert callable(conversion.lower)
