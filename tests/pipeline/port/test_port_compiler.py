"""What the compiler of a port was told, and who told it: on every page, in every record."""

import json
from pathlib import Path
from typing import Any

import pytest

import lwmport
from lwmport.choices import Choice
from lwmport.errors import UsageError
from lwmport.models.options import Options
from lwmport.pipeline.port import run
from lwmport.pipeline.port.jobs import read_jobs
from lwmport.pipeline.port.run import PortRequest, port
from lwmport.reports.port_index import write_index
from lwmport.reports.ports import PortReport, PortRow
from lwmport.targets.compile.choices import compile_choices
from lwmport.types import Status


def request(out: Path, target: str, precision: str = "float32", **more: Any) -> PortRequest:
    conversion = lwmport.Request(
        component="vqgan-decoder", format="onnx", out=out, config="debug", options=Options(precision=precision)
    )
    return PortRequest(conversion=conversion, target=target, **more)


@pytest.mark.parametrize(
    ("target", "model", "asked", "expected"),
    [
        ("ascend", "float32", {}, ("float32", "default of ascend")),
        ("ascend", "float16", {}, ("float16", "--precision of the model, which ascend keeps")),
        ("ascend", "float16", {"precision": "mixed"}, ("mixed", "--compile-precision")),
        ("aipu", "float16", {}, ("int8", "default of aipu")),
        ("migraphx", "float32", {"precision": "float16"}, ("float16", "--compile-precision")),
        ("cpu", "float16", {}, ("float32", "default of cpu")),
    ],
)
def test_what_a_compiler_computes_in_and_who_chose_it(
    target: str, model: str, asked: dict[str, str], expected: tuple[str, str]
) -> None:
    first, *_ = compile_choices(target, "onnx", None, asked.get("precision"), model)
    assert (first.value, first.source) == expected


@pytest.mark.parametrize(
    ("target", "soc", "expected"),
    [
        ("ascend", None, [Choice("chip", "Ascend310P3", "default of ascend")]),
        ("ascend", "Ascend910B3", [Choice("chip", "Ascend910B3", "--soc")]),
        ("aipu", None, []),
        ("cpu", None, [Choice("runtime", "onnxruntime", "default of cpu")]),
        ("cpu", "openvino", [Choice("runtime", "openvino", "--soc")]),
    ],
)
def test_the_device_and_who_chose_it(target: str, soc: str | None, expected: list[Choice]) -> None:
    _, *devices = compile_choices(target, "onnx", soc, None, "float32")
    assert devices == expected


def test_a_float16_port_is_recorded_as_float16_on_a_chip_that_is_named(tmp_path: Path) -> None:
    found = port(request(tmp_path / "out", "ascend", "float16"))
    assert Choice("chip", "Ascend310P3", "default of ascend") in found.choices
    (record,) = (tmp_path / "out/compiled").glob("*.compilation.json")
    told = json.loads(record.read_text())
    assert told["details"]["precision"] == "float16"
    assert {"name": "chip", "value": "Ascend310P3", "source": "default of ascend"} in told["choices"]
    page = (tmp_path / "out/models/report.html").read_text()
    assert "compile precision float16 (--precision of the model, which ascend keeps)" in page
    assert "chip Ascend310P3 (default of ascend)" in page


def test_the_compilers_options_reach_the_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(run, "compile_artifacts", lambda given, _: asked.append(given) or pytest.fail("enough"))
    wanted = request(
        tmp_path / "out", "ascend", compile_precision="mixed", keep_float32=("LayerNorm",), extra=("--log=info",),
        soc="Ascend910B3",
    )  # fmt: skip
    with pytest.raises(pytest.fail.Exception):
        run._compile(wanted, run.Silent())
    (given,) = asked
    assert (given.precision, given.keep_float32, given.extra) == ("mixed", ("LayerNorm",), ("--log=info",))
    assert given.choices[0] == Choice("compile precision", "mixed", "--compile-precision")


@pytest.mark.parametrize(
    ("target", "more", "message"),
    [
        ("cpu", {"keep_float32": ("Relu",)}, "expected --keep-float32 with the target ascend, found cpu"),
        ("ascend", {"calibration": "auto"}, "expected --calibration with the target aipu"),
        ("ascend", {"compile_precision": "fp8"}, "fp8"),
        ("ascend", {"gears": "batch"}, "expected gears like"),
    ],
)
def test_an_option_that_no_compiler_takes_is_refused_before_work(
    target: str, more: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        request(tmp_path, target, **more)


def test_a_job_says_the_compilers_options(tmp_path: Path) -> None:
    (tmp_path / "jobs.toml").write_text(
        '[[jobs]]\ncomponent = "vqgan-decoder"\nconfig = "debug"\ntarget = "ascend"\ncompile_precision = "mixed"\n'
        'keep_float32 = ["LayerNorm", "Square"]\npictures_as_bytes = true\n'
    )
    (job,) = read_jobs(tmp_path / "jobs.toml").jobs
    assert job.request.compile_precision == "mixed"
    assert job.request.keep_float32 == ("LayerNorm", "Square")
    assert job.request.pictures_as_bytes
    words = " ".join(job.words)
    assert "--compile-precision mixed --keep-float32 LayerNorm --keep-float32 Square --pictures-as-bytes" in words


def test_the_index_names_them(tmp_path: Path) -> None:
    row = PortRow(
        name="a", title="a", target="ascend", status=Status.PASSED, sentence="Done.", stages=(), seconds=1.0,
        peak_bytes=None, estimate_bytes=1, choices=compile_choices("ascend", "onnx", None, None, "float32"),
    )  # fmt: skip
    write_index(PortReport(jobs=(row,), workers=1, memory=1), tmp_path)
    for name in ("index.html", "index.md"):
        text = (tmp_path / name).read_text()
        assert "compile precision float32, chip Ascend310P3 (default of ascend)" in text
