"""``convert --dry-run``: what would be written and what it would cost, with nothing written."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

import lwmport
from lwmport import manifest
from lwmport.cli.main import cli
from lwmport.errors import PortError
from lwmport.pipeline.budget_record import GB
from lwmport.pipeline.convert import run as conversion
from lwmport.pipeline.convert.dry_run import dry_run
from lwmport.pipeline.convert.request import ConvertRequest


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("a dry run did some of the work")


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "lower", never)
    monkeypatch.setattr("lwmport.pipeline.convert.plan._disk_rate", never)


def request(out: Path, **more: Any) -> ConvertRequest:
    return ConvertRequest(**{"component": "vqgan", "format": "onnx", "out": out, "config": "debug", **more})


@pytest.mark.usefixtures("no_work")
def test_nothing_is_written(tmp_path: Path) -> None:
    found = dry_run(request(tmp_path / "out"))
    assert [model.file for model in found.models] == ["vqgan-encoder.onnx", "vqgan-decoder.onnx"]
    assert found.models[0].inputs == ("pixel_values",)
    assert found.models[0].check == "ONNX Runtime on the CPU, beside JAX"
    assert found.plan.write_bytes == sum(model.weight_bytes for model in found.models)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("no_work")
def test_a_whole_model_of_any_size_is_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=1 << 40, used=0, free=1 << 40))
    found = dry_run(
        request(tmp_path / "out", component="llama", config="LWM-Text-1M", dialect="Ascend", validate=False)
    )
    assert [model.file for model in found.models] == ["llama-prefill.onnx", "llama-decode.onnx"]
    assert found.shared == "llama-weights.onnx.data"
    assert found.config["theta"] == 5e7
    assert found.plan.write_bytes > 26e9
    assert {model.check for model in found.models} == {"not judged (--no-validate)"}


def test_the_plan_is_that_of_the_conversion(tmp_path: Path) -> None:
    asked = request(tmp_path / "out", component="vqgan-encoder", validate=False)
    found = dry_run(asked)
    made = lwmport.convert(asked)
    assert made.plan is not None
    assert made.plan.write_bytes == found.plan.write_bytes
    written = manifest.read(tmp_path / "out")
    assert [part.path for part in written.components] == [model.file for model in found.models]
    assert dict(written.config) == dict(found.config)
    assert dry_run(asked).replaces == ("vqgan-encoder.onnx",)


@pytest.mark.usefixtures("no_work")
def test_the_runner_of_a_dialect_is_named(tmp_path: Path) -> None:
    options = lwmport.Options(quantize="w8a8")
    found = dry_run(request(tmp_path, component="vqgan-decoder", dialect="ascend-deploy", options=options))
    assert found.models[0].check.startswith("ONNX Runtime on the CPU, AscendQuant")


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    "more",
    [
        {"component": "vqgn"},
        {"format": "tflite", "opset": 13},
        {"checkpoint": "none"},
        {"options": lwmport.Options(sequence=3)},
        {"options": lwmport.Options(precision="float16", keep_float32=("nowhere",)), "component": "vqgan-decoder"},
        {"options": lwmport.Options(quantize="w4a16"), "component": "llama", "budget_gb": 1e-6},
        {"options": lwmport.Options(cache="int8"), "component": "llama", "calibrate_on": Path("none.txt")},
    ],
    ids=str,
)
def test_what_convert_refuses_is_refused(more: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(PortError):
        dry_run(request(tmp_path / "out", **more))
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("no_work")
def test_a_budget_is_planned_as_its_own_bytes(tmp_path: Path) -> None:
    """Of a bound on the loss nobody knows the bytes before it is measured: as many as 16 bits take, at most."""
    options = lwmport.Options(quantize="w4a16")
    asked = {"component": "llama", "options": options}
    (fewest,) = dry_run(request(tmp_path / "out", **asked)).models
    some = dry_run(request(tmp_path / "out", **asked, budget_gb=fewest.weight_bytes * 1.1 / GB))
    any_loss = dry_run(request(tmp_path / "out", **asked, budget_kl=0.1))
    assert some.plan.write_bytes == some.models[0].weight_bytes == int(fewest.weight_bytes * 1.1)
    assert 3 < any_loss.plan.write_bytes / fewest.weight_bytes < 4
    assert some.budget.startswith("--budget-gb 0.0")
    assert any_loss.budget.startswith("--budget-kl 0.1 decides on the bits of each tensor")


@pytest.mark.usefixtures("no_work")
def test_the_command_prints_both_forms(tmp_path: Path) -> None:
    words = [
        "convert",
        "--component",
        "vqgan",
        "--to",
        "ONNX",
        "--config",
        "debug",
        "--out",
        str(tmp_path / "o"),
        "--dry-run",
    ]
    text = CliRunner().invoke(cli, words)
    told = json.loads(CliRunner().invoke(cli, [*words, "--json"]).output)
    assert text.exit_code == 0
    assert text.output.endswith("nothing was written\n")
    for model in told["models"]:
        assert model["file"] in text.output
        assert model["check"] in text.output
    assert told["sentence"].partition(",")[0] in text.output
    assert told["dry_run"] is True
    assert not list(tmp_path.iterdir())
