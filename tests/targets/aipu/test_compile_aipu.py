"""Compass: configuration that its own readers take, samples in its own form, and errors behind an exit code of 0."""

import configparser
import io
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lwmport.errors import UsageError
from lwmport.targets.aipu import config as aipu_config
from lwmport.targets.aipu.compile import SOC, VENDOR, plan
from lwmport.targets.aipu.config import calibration_file
from lwmport.targets.aipu.target import AIPU
from lwmport.targets.compile.job import CompileJob
from lwmport.targets.compile.plan import Place
from lwmport.types import Status, TensorSpec

HERE = Place(model="../model.onnx", out=".")
READ = 'name=$(sed -n "s/^outputs = //p" "$1")'
FILES = {"model.cfg", "model.parse.cfg", "model.optimize.cfg", "model.calibration.npy", "model.sh"}
GOOD = f'{READ}\necho "[I] [Parser]: 0 error(s), 1 warning(s) generated."\nprintf bin > "$name"'


@pytest.fixture
def job(job_of: Callable[..., CompileJob], calibration: Mapping[str, Any], tmp_path: Path) -> CompileJob:
    (tmp_path / "empty").mkdir()
    return job_of(precision="int8", calibration=calibration, toolchain=tmp_path / "empty")


def sections(job: CompileJob) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read_string(plan(job, HERE).files["model.cfg"].decode())
    return parser


def test_the_configuration(job: CompileJob) -> None:
    found = sections(job)
    assert found.sections() == ["Common", "Parser", "Optimizer", "GBuilder"]
    assert dict(found["Common"]) == {"mode": "build"}
    assert {key: found["Parser"][key] for key in ("model_type", "input", "input_shape", "output", "input_model")} == {
        "model_type": "onnx",
        "input": "pixel_values",
        "input_shape": "[1,8,8,3]",
        "output": "codes",
        "input_model": "../model.onnx",
    }
    assert found["Optimizer"]["weight_bits"] == "8"
    assert "trigger_float_op" not in found["Optimizer"]
    assert found["GBuilder"]["target"] == SOC


def test_the_samples_are_written_once(job: CompileJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two plans are made, for the script and for the run; the samples may be half a gigabyte."""
    made = []
    write = aipu_config._array
    monkeypatch.setattr(aipu_config, "_array", lambda array: made.append(array) or write(array))
    VENDOR(job, tmp_path / "out")
    assert len(made) == 1
    assert np.load(tmp_path / "out" / "model.calibration.npy").shape == (3, 8, 8, 3)


def test_precisions(job: CompileJob) -> None:
    found = {name: sections(replace(job, precision=name))["Optimizer"] for name in ("mixed", "float16", "bfloat16")}
    assert found["float16"]["trigger_float_op"] == "float16_preferred!"
    assert found["bfloat16"]["trigger_float_op"] == "bfloat16_preferred!"
    assert found["mixed"]["trigger_float_op"] == "float16_preferred! & <[FullyConnected]:float16_act_int_wht!>"


@pytest.mark.parametrize(("form", "word"), [("tflite", "tflite"), ("frozen_graph", "tensorflow")])
def test_other_formats(job: CompileJob, form: str, word: str) -> None:
    assert sections(replace(job, format=form))["Parser"]["model_type"] == word


def loaded(job: CompileJob) -> Any:
    found = np.load(io.BytesIO(calibration_file(job)[0]()), allow_pickle=True)
    return found.item() if found.dtype == object else found


def test_samples_of_one_input_are_an_array_without_the_batch(job: CompileJob) -> None:
    samples = np.random.default_rng(0).normal(size=(3, 1, 8, 8, 3)).astype(np.float32)
    job = replace(job, calibration={"pixel_values": samples})
    assert np.array_equal(loaded(job), samples[:, 0])
    assert sections(job)["Optimizer"]["dataset"] == "NumpyDataset"


def test_samples_of_several_inputs_keep_their_order(job_of: Callable[..., CompileJob]) -> None:
    specs = tuple(TensorSpec(name=name, shape=(1, 2), dtype="int64") for name in ("b", "a"))
    samples = {"a": np.full((2, 1, 2), 7), "b": np.full((2, 1, 2), 8)}
    job = job_of(inputs=specs, precision="int8", calibration=samples)
    found = loaded(job)
    assert list(found) == ["b", "a"]
    assert (found["b"].shape, found["b"].dtype, found["b"].max()) == ((2, 2), np.int32, 8)
    assert calibration_file(job)[1]["dataset"] == "NumpyMultiInputDataset"


def test_samples_have_the_dtype_of_the_input(job: CompileJob) -> None:
    job = replace(job, calibration={"pixel_values": np.ones((3, 1, 8, 8, 3), np.float64)})
    assert loaded(job).dtype == np.float32


def test_inputs_without_a_common_batch_go_whole(job_of: Callable[..., CompileJob]) -> None:
    specs = (TensorSpec(name="x", shape=(1, 2), dtype="float32"), TensorSpec(name="n", shape=(), dtype="int32"))
    samples = {"x": np.zeros((2, 1, 2), np.float32), "n": np.zeros((2,), np.int32)}
    job = job_of(inputs=specs, precision="int8", calibration=samples)
    assert loaded(job)["x"].shape == (1, 2)
    assert calibration_file(job)[1]["without_batch_dim"] == "True"


def test_a_batch_is_unfolded(job_of: Callable[..., CompileJob]) -> None:
    spec = TensorSpec(name="x", shape=("batch", 2), dtype="float32")
    job = job_of(
        inputs=(spec,), precision="int8", gears=({"batch": 4},), calibration={"x": np.zeros((3, 4, 2), np.float32)}
    )
    assert loaded(job).shape == (12, 2)
    assert calibration_file(job)[1]["calibration_batch_size"] == "4"
    assert sections(job)["Parser"]["input_shape"] == "[4,2]"


BAD = {
    "no samples": ({"calibration": None}, "--calibration auto"),
    "another input's samples": ({"calibration": {"x": np.zeros((1, 1))}}, "samples of the input pixel_values"),
    "samples of another shape": ({"calibration": {"pixel_values": np.zeros((1, 8, 8, 3))}}, "found [1, 8, 8, 3]"),
    "no sample": ({"calibration": {"pixel_values": np.zeros((0, 1, 8, 8, 3))}}, "found [0, 1, 8, 8, 3]"),
    "integers beyond int32": (
        {
            "inputs": (TensorSpec(name="n", shape=(1,), dtype="int64"),),
            "calibration": {"n": np.array([[1], [1 << 40]])},
        },
        "samples of n inside of int32",
    ),
    "float32": ({"precision": "float32"}, "found float32"),
    "unknown device": ({"soc": "X9_9999"}, "expected --soc"),
    "saved model": ({"format": "saved_model"}, "onnx or tflite"),
    "a name that breaks lines": (
        {"inputs": (TensorSpec(name="a\n[GBuilder]", shape=(1, 2), dtype="float32"),)},
        "rename it",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_compass_cannot_take_is_refused(
    name: str, job_of: Callable[..., CompileJob], calibration: Mapping[str, Any]
) -> None:
    fields, message = BAD[name]
    with pytest.raises(UsageError) as caught:
        plan(job_of(**{"precision": "int8", "calibration": calibration, **fields}), HERE)
    assert message in str(caught.value)


def test_without_the_tool_the_verdict_is_skipped(job: CompileJob, tmp_path: Path) -> None:
    found = VENDOR(job, tmp_path / "artifacts" / "aipu")
    assert found.status is Status.SKIPPED
    assert found.commands == ("aipubuild model.cfg",)
    assert set(found.files) == FILES
    assert "input_model = ../model.onnx" in (tmp_path / "artifacts" / "aipu" / "model.cfg").read_text()


def test_success(job: CompileJob, sdk: Callable[..., Path], tmp_path: Path) -> None:
    found = VENDOR(replace(job, toolchain=sdk("aipubuild", GOOD)), tmp_path / "artifacts" / "aipu")
    assert (found.status, found.products) == (Status.PASSED, ("model.aipu.bin",)), found.reason
    assert all(name.endswith(AIPU.made_of("onnx")) for name in found.products)
    assert "input_model = ../model.onnx" in (tmp_path / "artifacts" / "aipu" / "model.cfg").read_text()


def test_the_tool_gets_a_configuration_that_leads_to_the_model(
    job: CompileJob, sdk: Callable[..., Path], tmp_path: Path
) -> None:
    body = f'[ -f "$(sed -n "s/^input_model = //p" "$1")" ] || exit 9\n{GOOD}'
    found = VENDOR(replace(job, toolchain=sdk("aipubuild", body)), tmp_path / "out")
    assert found.status is Status.PASSED, found.reason


def test_cix_boards_have_another_name_and_suffix(job: CompileJob, sdk: Callable[..., Path], tmp_path: Path) -> None:
    found = VENDOR(replace(job, toolchain=sdk("cixbuild", GOOD)), tmp_path / "out")
    assert (found.status, found.products) == (Status.PASSED, ("model.cix",))
    assert all(name.endswith(AIPU.made_of("onnx")) for name in found.products)


FAILURES = {
    "errors and exit code 0": (f'{GOOD}\necho "[I] [Parser]: 2 error(s), 0 warning(s) generated."', "counted 2 errors"),
    "errors of the code generator and exit code 0": (
        f'{GOOD}\necho "Total errors: 3,  warnings: 0"',
        "counted 3 errors",
    ),
    "a marked line and exit code 0": (f'{GOOD}\necho "[E] [OPT] something is wrong"', "something is wrong"),
    "a coloured line": (f"{GOOD}\nprintf '\\033[31;1m[E]\\033[0m [Parser]: red\\n'", "red"),
    "a warning that means a wrong model": (
        f'{GOOD}\necho "[W] [Parser]: Infer of LiteCONV_2D Node(a) meets issues: recursion!"',
        "meets issues",
    ),
    "a fatal line": (f'{GOOD}\necho "[F] gone"', "gone"),
    "no file": ('echo "0 error(s), 0 warning(s) generated."', "wrote no model.aipu.bin"),
    "an empty file": (f'{READ}\n: > "$name"', "or an empty one"),
    "another exit code": (f"{GOOD}\nexit 255", "exited with 255"),
    "Trilu": (
        'echo "[E] [Parser]: Writing Trilu op that is not supported in serialize"\nexit 255',
        "lwmport check --target aipu",
    ),
    "numpy": (
        'echo "TypeError: only 0-dimensional arrays can be converted to Python scalars"\nexit 255',
        "numpy==2.2.6",
    ),
    "killed": ("kill -9 $$", "one block at a time"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_no_failure_passes(name: str, job: CompileJob, sdk: Callable[..., Path], tmp_path: Path) -> None:
    body, message = FAILURES[name]
    found = VENDOR(replace(job, toolchain=sdk("aipubuild", body)), tmp_path / "out")
    assert found.status is Status.FAILED, found.reason
    assert message in found.reason
    assert not list((tmp_path / "out").glob("*.bin"))


PARSE = 'echo "[I] [Parser]: 0 error(s), 0 warning(s) generated."\nprintf t > model.txt\nprintf b > model.bin'
OPTIMIZE = 'printf t > model_o.txt; printf b > model_o.bin; echo "[I] [output tensors cosine]: [0.99]"'


def test_the_parts_run_as_far_as_they_are_installed(job: CompileJob, sdk: Callable[..., Path], tmp_path: Path) -> None:
    job = replace(job, toolchain=sdk("aipuparse", PARSE))
    found = VENDOR(job, tmp_path / "out")
    assert found.status is Status.SKIPPED
    assert found.reason.startswith("aipuparse passed; expected aipuopt, found none")
    assert found.products == ("model.txt", "model.bin")
    assert all(name.endswith(AIPU.made_of("onnx")) for name in found.products)
    sdk("aipuopt", OPTIMIZE)
    assert VENDOR(job, tmp_path / "out").reason.startswith(
        "aipuparse, aipuopt ([output tensors cosine]: [0.99]) passed; expected aipugb"
    )
    sdk("aipugb", "printf x > aipu.bin")
    found = VENDOR(job, tmp_path / "out")
    assert found.status is Status.PASSED
    assert found.details["aipuopt"] == "[output tensors cosine]: [0.99]"
    assert found.commands[-1].startswith("aipugb model_o.txt -w model_o.bin --target X2_1204MP3")


PART_FAILURES = {
    "parser fails but leaves its text": ("printf t > model.txt\nexit 255", "exited with 255"),
    "parser without a count": ("printf t > model.txt; printf b > model.bin", "without saying '0 error(s)'"),
    "parser without weights": ('echo "0 error(s)"\nprintf t > model.txt', "wrote no model.bin"),
}


@pytest.mark.parametrize("name", PART_FAILURES)
def test_no_failing_part_passes(name: str, job: CompileJob, sdk: Callable[..., Path], tmp_path: Path) -> None:
    body, message = PART_FAILURES[name]
    found = VENDOR(replace(job, toolchain=sdk("aipuparse", body)), tmp_path / "out")
    assert (found.status, found.products) == (Status.FAILED, ())
    assert message in found.reason
    assert not (tmp_path / "out" / "model.txt").exists()


def test_no_key_stands_twice(job: CompileJob) -> None:
    for name, content in plan(job, HERE).files.items():
        assert name.endswith(".cfg")
        configparser.ConfigParser(strict=True).read_string(content.decode())


def test_the_parts_read_what_the_build_reads(job: CompileJob) -> None:
    files = plan(job, HERE).files
    whole = sections(job)
    for part, section in (("parse", "Parser"), ("optimize", "Optimizer")):
        found = configparser.ConfigParser()
        found.read_string(files[f"model.{part}.cfg"].decode())
        assert found.sections() == ["Common"]
        assert dict(whole[section]).items() <= dict(found["Common"]).items()


def test_what_is_not_run_is_written_the_same_whatever_is_installed(
    job: CompileJob, sdk: Callable[..., Path], tmp_path: Path
) -> None:
    written = []
    for number, name in enumerate(("aipuparse", "cixbuild")):
        found = VENDOR(replace(job, toolchain=sdk(name, "exit 9"), run=False), tmp_path / f"{number}")
        assert found.commands == ("aipubuild model.cfg",)
        written.append({file: (tmp_path / f"{number}" / file).read_bytes() for file in found.files})
    assert written[0] == written[1]
    assert set(written[0]) == FILES


SCRIPTS = {
    "the one tool": (("aipubuild",), 0, {"model.aipu.bin"}),
    "that of the boards": (("cixbuild",), 0, {"model.aipu.bin"}),
    "the one tool before its parts": (("aipubuild", "aipuparse"), 0, {"model.aipu.bin"}),
    "the open parts": (("aipuparse", "aipuopt"), 127, {"model.txt", "model.bin", "model_o.txt", "model_o.bin"}),
    "the parts": (
        ("aipuparse", "aipuopt", "aipugb"),
        0,
        {"model.txt", "model.bin", "model_o.txt", "model_o.bin", "aipu.bin"},
    ),
    "nothing": ((), 127, set()),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_script_runs_what_is_there(name: str, job: CompileJob, sdk: Callable[..., Path], tmp_path: Path) -> None:
    tools, code, products = SCRIPTS[name]
    bodies = {"aipubuild": GOOD, "cixbuild": GOOD, "aipuparse": PARSE, "aipuopt": OPTIMIZE, "aipugb": "echo > aipu.bin"}
    for tool in tools:
        sdk(tool, bodies[tool])
    VENDOR(replace(job, run=False), tmp_path / "out")
    path = f"{tmp_path / 'sdk' / 'bin'}:/usr/bin:/bin"
    ran = subprocess.run(
        ["/bin/bash", "out/model.sh"], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == code, ran.stderr
    assert {file.name for file in (tmp_path / "out").iterdir()} == FILES | products | {"model.compilation.json"}
    assert bool(ran.stderr) == bool(code)
