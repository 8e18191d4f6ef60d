"""MIGraphX: three steps, each with its own signs; the reference target needs no card."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lwmport.errors import UsageError
from lwmport.targets.compile.job import CompileJob
from lwmport.targets.compile.plan import Place, Run, Step
from lwmport.targets.migraphx.compile import VENDOR, judge, plan
from lwmport.targets.migraphx.target import MIGRAPHX
from lwmport.types import Status, TensorSpec

HERE = Place(model="model.onnx", out="migraphx")
OUTPUT = 'while [ $# -gt 0 ]; do [ "$1" = --output ] && out="$2"; shift; done'
COMPILE = f'compile) {OUTPUT}; printf mxr > "$out";;'
VERIFY = 'verify) echo "rms_error: 1e-05"; echo "MIGraphX verification passed successfully.";;'
PERF = 'perf) echo "Rate: 123.4/sec";;'


def driver(*cases: str) -> str:
    return "\n".join(('command="$1"', 'case "$command" in', *cases, "*) exit 1;;", "esac"))


GOOD = driver(COMPILE, VERIFY, PERF)


def words(job: CompileJob) -> dict[str, tuple[str, ...]]:
    return {step.name: step.options for step in plan(job, HERE).steps}


def test_the_commands(job_of: Callable[..., CompileJob]) -> None:
    index = TensorSpec(name="ids", shape=(1, 4), dtype="int64")
    found = words(job_of(inputs=(index,), soc="gfx936", precision="float16"))
    assert list(found) == ["compile", "verify", "perf"]
    assert found["compile"] == (
        *("compile", "--onnx", "model.onnx", "--gpu", "--fp16"),
        *("--enable-offload-copy", "--binary", "--output", "migraphx/model.mxr"),
    )
    assert found["verify"][-2:] == ("--fill0", "ids")
    assert found["perf"][-4:] == ("-n", "100", "--fill0", "ids")


def test_the_reference_needs_no_card(job_of: Callable[..., CompileJob]) -> None:
    found = words(job_of(soc="ref"))
    assert "--ref" in found["compile"]
    assert "--gpu" not in found["verify"]


def test_a_dynamic_batch_becomes_one_shape(job_of: Callable[..., CompileJob]) -> None:
    spec = TensorSpec(name="x", shape=("batch", 3), dtype="float32")
    found = words(job_of(inputs=(spec,), gears=({"batch": 2},)))
    assert found["compile"][3:7] == ("--input-dim", "@x", "2", "3")
    with pytest.raises(UsageError, match="one size each"):
        plan(job_of(inputs=(spec,), gears=({"batch": 2}, {"batch": 4})), HERE)


BAD = {
    "tflite": ({"format": "tflite"}, "expected an artifact in onnx"),
    "unknown card": ({"soc": "gfx000"}, "expected --soc"),
    "bfloat16 on a Z100": ({"soc": "gfx906", "precision": "bfloat16"}, "no bfloat16"),
    "mixed": ({"precision": "mixed"}, "found mixed"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_migraphx_cannot_take_is_refused(name: str, job_of: Callable[..., CompileJob]) -> None:
    fields, message = BAD[name]
    with pytest.raises(UsageError) as caught:
        plan(job_of(**fields), HERE)
    assert message in str(caught.value)


def test_options_of_the_provider(job_of: Callable[..., CompileJob]) -> None:
    found = json.loads(plan(job_of(precision="bfloat16"), HERE).files["model.migraphx.json"])
    assert found["provider"] == "MIGraphXExecutionProvider"
    assert found["options"]["migraphx_bf16_enable"] == "1"
    assert found["session"] == {"session.disable_cpu_ep_fallback": "1"}


def test_success(job_of: Callable[..., CompileJob], sdk: Callable[..., Path], tmp_path: Path) -> None:
    found = VENDOR(job_of(toolchain=sdk("migraphx-driver", GOOD)), tmp_path / "out")
    assert (found.status, found.products) == (Status.PASSED, ("model.mxr",)), found.reason
    assert all(name.endswith(MIGRAPHX.made_of("onnx")) for name in found.products)
    assert found.details["perf"] == "Rate: 123.4/sec"
    assert {path.name for path in (tmp_path / "out").glob("*.log")} == {
        f"model.{step}.log" for step in ("compile", "verify", "perf")
    }


FAILURES = {
    "no file": (driver("compile) ;;", VERIFY, PERF), "wrote no model.mxr"),
    "unknown operator": (driver('compile) echo "Unknown operator: Swish"; exit 134;;'), "lwmport check"),
    "numbers and exit code 0": (driver(COMPILE, 'verify) echo "FAILED: model.onnx";;', PERF), "the card's numbers"),
    "another shape, then passed": (
        driver(COMPILE, 'verify) echo "FAILED: m"; echo "MIGraphX verification passed successfully.";;', PERF),
        "the card's numbers",
    ),
    "no word of success": (driver(COMPILE, "verify) ;;", PERF), "without saying"),
    "no rate": (driver(COMPILE, VERIFY, "perf) ;;"), "without a rate"),
    "random indices": (
        driver(COMPILE, VERIFY, 'perf) echo "Gather: Out of bounds index detected"; exit 134;;'),
        "--fill0",
    ),
    "no card": (driver('compile) echo "hipErrorNoDevice"; exit 1;;'), "/dev/kfd"),
    "no environment": (
        driver('compile) echo "error while loading shared libraries: libgalaxyhip.so.5"; exit 127;;'),
        "/opt/dtk/env.sh",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_no_failure_passes(
    name: str, job_of: Callable[..., CompileJob], sdk: Callable[..., Path], tmp_path: Path
) -> None:
    body, message = FAILURES[name]
    found = VENDOR(job_of(toolchain=sdk("migraphx-driver", body)), tmp_path / "out")
    assert found.status is Status.FAILED, found.reason
    assert message in found.reason
    assert not list((tmp_path / "out").glob("*.mxr"))


def test_the_environment_of_a_dcu_is_sourced(
    job_of: Callable[..., CompileJob], sdk: Callable[..., Path], tmp_path: Path
) -> None:
    folder = sdk("migraphx-driver", f'[ "$DTK" = 1 ] || exit 3\n{GOOD}')
    (folder / "env.sh").write_text("export DTK=1\n")
    found = VENDOR(replace(job_of(), toolchain=folder), tmp_path / "out")
    assert found.status is Status.PASSED, found.reason


ABORTED = (
    "terminate called after throwing an instance of 'migraphx::version_2_12_0::exception'\n"
    "  what():  {}\nAborted (core dumped)\n"
)


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (
            "/a/src/onnx/parse_pad.cpp:12: parse: PARSE_PAD: mode is not known",
            "compile exited with 134: PARSE_PAD: mode is not known",
        ),
        (
            "/a-b/src/include/check_shapes.hpp:66: has: Dimensions do not match",
            "Dimensions do not match; two operands do not fit",
        ),
        ("std::bad_alloc", "compile exited with 134: std::bad_alloc"),
    ],
)
def test_what_an_exception_says_is_quoted_and_not_that_it_aborted(what: str, expected: str) -> None:
    step = Step(name="compile", tools=("migraphx-driver",), options=())
    found = judge(Run(step=step, code=134, said="Reading: model.onnx\n" + ABORTED.format(what)))
    assert found.startswith(expected)


def test_a_program_that_aborts_without_an_exception_is_quoted_by_its_last_words() -> None:
    step = Step(name="compile", tools=("migraphx-driver",), options=())
    found = judge(Run(step=step, code=139, said="Compiling ...\nSegmentation fault (core dumped)\n"))
    assert found == "compile exited with 139: Compiling ... - Segmentation fault (core dumped)"
