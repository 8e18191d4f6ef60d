"""ATC: the exact command, its files, and a verdict that no lie of the tool turns into a pass."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from lwmport.errors import UsageError
from lwmport.targets.ascend.compile import VENDOR, plan
from lwmport.targets.ascend.errors import FIXES, KINDS, OPTION, explain, fix_of
from lwmport.targets.ascend.precision import ALWAYS_FRAGILE, FRAGILE
from lwmport.targets.ascend.target import ASCEND
from lwmport.targets.compile.job import CompileJob, read_gears
from lwmport.targets.compile.plan import Place, Run
from lwmport.targets.compile.vendor import compile_with
from lwmport.types import Kind, Status, TensorSpec

SOC = {"soc": "Ascend310P3"}
HERE = Place(model="model.onnx", out="ascend")
OUTPUT = 'for word in "$@"; do case "$word" in --output=*) out="${word#--output=}";; esac; done'
GOOD = f'{OUTPUT}\necho "ATC start working now, please wait for a moment."\nprintf om > "$out.om"\n'
SUCCESS = 'echo "ATC run success, welcome to the next use."'
FAILURE = "echo \"ATC run failed, Please check the detail log, Try 'atc --help' for more information\""


def options(job: CompileJob) -> dict[str, str]:
    (step,) = plan(job, HERE).steps
    return dict(word.removeprefix("--").split("=", 1) for word in step.options)


def files(job: CompileJob) -> dict[str, str]:
    return {name: content.decode() for name, content in plan(job, HERE).files.items()}


def test_a_static_model(job_of: Callable[..., CompileJob]) -> None:
    assert options(job_of(**SOC)) == {
        "framework": "5",
        "model": "model.onnx",
        "output": "ascend/model",
        "soc_version": "Ascend310P3",
        "input_format": "NCHW",
        "input_shape": "pixel_values:1,8,8,3",
        "precision_mode_v2": "origin",
        "log": "error",
    }


def test_amct_comes_before_atc_where_values_are_rounded(job_of: Callable[..., CompileJob]) -> None:
    adapt, compiled = plan(job_of(operators={"QuantizeLinear": 2}, **SOC), HERE).steps
    assert adapt.tools == ("python3",)
    assert "amct_onnx.convert_qat_model(*sys.argv[1:])" in adapt.options[1]
    assert adapt.options[2:] == ("model.onnx", "ascend/model")
    assert "--model=ascend/model_deploy_model.onnx" in compiled.options
    absent = Run(step=adapt, code=1, said="ModuleNotFoundError: No module named 'amct_onnx'\n")
    assert VENDOR.judge(absent).endswith("install AMCT, amct_onnx of the CANN toolkit, for this python3")
    assert "wrote no model_deploy_model.onnx" in VENDOR.judge(replace(absent, code=0, said="", missing=adapt.products))
    assert not VENDOR.judge(replace(absent, code=0, said=""))


def test_a_python_without_amct_is_no_tool(job_of: Callable[..., CompileJob], tmp_path: Path) -> None:
    found = compile_with(VENDOR, job_of(operators={"QuantizeLinear": 2}, run=True, **SOC), tmp_path / "out")
    assert found.status is Status.SKIPPED
    assert found.reason.endswith(
        "install AMCT, amct_onnx of the CANN toolkit, for this python3; run model.sh where it is"
    )


def test_a_frozen_graph_names_its_outputs(job_of: Callable[..., CompileJob]) -> None:
    found = options(job_of(format="frozen_graph", **SOC))
    assert (found["framework"], found["input_format"], found["out_nodes"]) == ("3", "NHWC", "codes:0")


BATCH = TensorSpec(name="x", shape=("batch", 3, 8, 8), dtype="float32")
SIDES = TensorSpec(name="x", shape=(1, 3, "height", "width"), dtype="float32")
QUERY = TensorSpec(name="ids", shape=(1, "query"), dtype="int32")
MASK = TensorSpec(name="mask", shape=(1, "past + query"), dtype="int32")
SCALAR = TensorSpec(name="position", shape=(), dtype="int32")

DYNAMIC = {
    "batch": ((BATCH,), "batch=1,2,4", {"input_shape": "x:-1,3,8,8", "dynamic_batch_size": "1,2,4"}),
    "picture": (
        (SIDES,),
        "height=300,600;width=500,800",
        {"input_shape": "x:1,3,-1,-1", "dynamic_image_size": "300,500;600,800"},
    ),
    "language": (
        (QUERY, MASK, SCALAR),
        "past=16,32;query=1,8",
        {
            "input_shape": "ids:1,-1;mask:1,-1;position:",
            "input_format": "ND",
            "dynamic_dims": "1,17;8,40",
        },
    ),
}


@pytest.mark.parametrize("name", DYNAMIC)
def test_gears(name: str, job_of: Callable[..., CompileJob]) -> None:
    inputs, gears, expected = DYNAMIC[name]
    found = options(job_of(inputs=inputs, gears=read_gears(gears), **SOC))
    assert {key: found[key] for key in expected} == expected


BAD_GEARS = {
    "none": ((BATCH,), "", "2 to 100 gears"),
    "one": ((BATCH,), "batch=4", "2 to 100 gears"),
    "another name": ((BATCH,), "length=1,2", "found length"),
    "one of two": ((SIDES,), "height=1,2", "found height"),
    "static": ((SCALAR,), "batch=1,2", "(none)"),
}


@pytest.mark.parametrize("name", BAD_GEARS)
def test_bad_gears_are_refused(name: str, job_of: Callable[..., CompileJob]) -> None:
    inputs, gears, message = BAD_GEARS[name]
    with pytest.raises(UsageError) as caught:
        plan(job_of(inputs=inputs, gears=read_gears(gears), **SOC), HERE)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["batch", "batch=", "batch=0", "batch=a", "=1", "a=1,2;b=1", "batch=-1"])
def test_bad_texts_of_gears_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_gears(text)


TWICE = {
    "batch=2,2": "expected gears that differ, found one twice in 'batch=2,2'",
    "query=1,8,1;cache=9,9,9": "expected gears that differ",
    "batch=1;batch=2": "expected each dimension once in --gears, found batch twice",
    "batch=1; batch =1": "found batch twice",
}


@pytest.mark.parametrize("text", TWICE)
def test_gears_that_say_something_twice_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=TWICE[text]):
        read_gears(text)


def test_gears_may_share_some_sizes() -> None:
    assert read_gears("query=1,1,8;cache=2,4,4") == (
        {"query": 1, "cache": 2},
        {"query": 1, "cache": 4},
        {"query": 8, "cache": 4},
    )


def test_mixed_precision_keeps_what_overflows(job_of: Callable[..., CompileJob]) -> None:
    job = job_of(precision="mixed", operators={"InstanceNormalization": 2, "Softmax": 1}, **SOC)
    assert options(job)["precision_mode_v2"] == "mixed_float16"
    assert options(job)["modify_mixlist"] == "ascend/model.mixlist.json"
    lists = json.loads(files(job)["model.mixlist.json"])
    assert lists == {"black-list": {"to-add": ["Square", "GroupNorm", "InstanceNorm", "SoftmaxV2"]}}


def test_float16_keeps_operators_and_nodes(job_of: Callable[..., CompileJob]) -> None:
    job = job_of(precision="float16", keep_float32=("Square", "node:mid/norm"), **SOC)
    assert options(job)["keep_dtype"] == "ascend/model.keep_dtype.cfg"
    assert files(job)["model.keep_dtype.cfg"] == "OpType::Square\nmid/norm\n"


def test_each_model_keeps_its_own_nodes_alone(job_of: Callable[..., CompileJob]) -> None:
    asked = {"precision": "float16", "keep_float32": ("node:a", "node:b"), **SOC}
    assert files(job_of(nodes=frozenset({"b", "c"}), **asked))["model.keep_dtype.cfg"] == "b\n"
    without = job_of(nodes=frozenset({"c"}), **asked)
    assert "model.keep_dtype.cfg" not in files(without)
    assert "keep_dtype" not in options(without)


BAD = {
    "no device": ({}, "expected --soc"),
    "unknown device": ({"soc": "Ascend310P8"}, "did you mean 'Ascend310P"),
    "tflite": ({"format": "tflite", **SOC}, "onnx or frozen_graph"),
    "int8": ({"precision": "int8", **SOC}, "found int8"),
    "no such precision": ({"precision": "float61", **SOC}, "did you mean 'float16'"),
    "bfloat16 on a 310P": ({"precision": "bfloat16", **SOC}, "no bfloat16"),
    "kept though all is float32": ({"keep_float32": ("Square",), **SOC}, "keeps everything"),
    "nodes in a mixed mode": (
        {"precision": "mixed", "keep_float32": ("node:a",), **SOC},
        "--compile-precision float16",
    ),
    "a node without its word": ({"precision": "float16", "keep_float32": ("mid/norm",), **SOC}, "is 'node:mid/norm'"),
    "nothing to keep": ({"precision": "mixed", "keep_float32": ("",), **SOC}, "'node:NAME'"),
    "two lines": ({"precision": "float16", "keep_float32": ("Square\nSoftmaxV2",), **SOC}, "found 'Square\\n"),
    "ONNX's name": ({"precision": "mixed", "keep_float32": ("LayerNormalization",), **SOC}, "calls it LayerNorm"),
    "ONNX's name, with its domain": (
        {"precision": "float16", "keep_float32": ("npu.NPURmsNorm",), **SOC},
        "calls it RmsNorm",
    ),
    "a name with a space": ({"name": "my model", **SOC}, "rename it"),
    "bytes for channels last": ({"pictures_as_bytes": True, **SOC}, "--to frozen_graph"),
    "bytes without a picture": ({"pictures_as_bytes": True, "inputs": (SCALAR,), **SOC}, "that is a picture"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_atc_cannot_take_is_refused(name: str, job_of: Callable[..., CompileJob]) -> None:
    fields, message = BAD[name]
    with pytest.raises(UsageError) as caught:
        plan(job_of(**fields), HERE)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["Softmax", *ALWAYS_FRAGILE, *chain(*FRAGILE.values())])
def test_what_cann_calls_an_operator_is_kept(name: str, job_of: Callable[..., CompileJob]) -> None:
    job = job_of(precision="mixed", keep_float32=(name,), **SOC)
    assert json.loads(files(job)["model.mixlist.json"])["black-list"] == {"to-add": [name]}


def test_bfloat16_where_the_device_has_it(job_of: Callable[..., CompileJob]) -> None:
    assert options(job_of(soc="Ascend910B3", precision="bfloat16"))["precision_mode_v2"] == "mixed_bfloat16"


def test_a_part_of_a_chip_is_a_chip(job_of: Callable[..., CompileJob]) -> None:
    assert options(job_of(soc="Ascend310P3vir04"))["soc_version"] == "Ascend310P3vir04"


def test_pictures_as_bytes(job_of: Callable[..., CompileJob]) -> None:
    picture = TensorSpec(name="x", shape=(1, 3, 4, 6), dtype="float32", kind=Kind.PICTURE, value_range=(-1.0, 1.0))
    job = job_of(inputs=(SCALAR, picture), pictures_as_bytes=True, **SOC)
    assert options(job)["insert_op_conf"] == "ascend/model.aipp.cfg"
    text = files(job)["model.aipp.cfg"]
    values = dict(line.strip().split(": ") for line in text.splitlines() if ": " in line)
    assert values["related_input_rank"] == "1"
    assert (values["src_image_size_w"], values["src_image_size_h"]) == ("6", "4")
    for byte, expected in ((0, -1.0), (255, 1.0), (127.5, 0.0)):
        scaled = (byte - float(values["mean_chn_0"]) - float(values["min_chn_0"])) * float(values["var_reci_chn_0"])
        assert scaled == pytest.approx(expected, abs=1e-6)


def test_frozen_graphs_take_bytes_channels_last(job_of: Callable[..., CompileJob]) -> None:
    text = files(job_of(format="frozen_graph", pictures_as_bytes=True, **SOC))["model.aipp.cfg"]
    assert "src_image_size_w: 8" in text


def test_without_the_tool_the_verdict_is_skipped(job_of: Callable[..., CompileJob], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "artifacts" / "ascend"
    found = VENDOR(job_of(toolchain=tmp_path / "empty", **SOC), out)
    assert found.status is Status.SKIPPED
    assert found.reason.startswith("expected atc, found none")
    assert found.commands[0].startswith("atc --framework=5 --model=model.onnx --output=ascend/model ")
    assert {path.name for path in out.iterdir()} == {*found.files, "model.compilation.json"}
    assert set(found.files) == {"model.sh", "model.cann.json"}
    script = (out / "model.sh").read_text()
    assert found.commands[0] in script
    assert script.index("set_env.sh") < script.index("set -eo pipefail") < script.index("atc ")


def test_the_script_runs_what_was_promised(
    job_of: Callable[..., CompileJob], sdk: Callable[..., Path], tmp_path: Path
) -> None:
    import os
    import subprocess

    folder = sdk("atc", GOOD + SUCCESS)
    out = tmp_path / "artifacts" / "ascend"
    VENDOR(job_of(run=False, **SOC), out)
    environment = {**os.environ, "PATH": f"{folder}/bin{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([out / "model.sh"], check=True, env=environment, cwd=tmp_path, capture_output=True)
    assert (out / "model.om").read_bytes() == b"om"


def test_a_dry_run_runs_nothing(job_of: Callable[..., CompileJob], sdk: Callable[..., Path], tmp_path: Path) -> None:
    found = VENDOR(job_of(toolchain=sdk("atc", GOOD + SUCCESS), run=False, **SOC), tmp_path / "out")
    assert (found.status, found.products) == (Status.SKIPPED, ())
    assert not list((tmp_path / "out").glob("*.om"))


def test_success(job_of: Callable[..., CompileJob], sdk: Callable[..., Path], tmp_path: Path) -> None:
    found = VENDOR(job_of(toolchain=sdk("atc", GOOD + SUCCESS), **SOC), tmp_path / "out")
    assert (found.status, found.products) == (Status.PASSED, ("model.om",))
    assert all(name.endswith(ASCEND.made_of("onnx")) for name in found.products)
    assert "ATC run success" in (tmp_path / "out" / "model.atc.log").read_text()


def test_a_name_with_system_and_processor_counts(
    job_of: Callable[..., CompileJob], sdk: Callable[..., Path], tmp_path: Path
) -> None:
    body = f'{OUTPUT}\nprintf om > "${{out}}_linux_x86_64.om"\n{SUCCESS}'
    found = VENDOR(job_of(toolchain=sdk("atc", body), **SOC), tmp_path / "out")
    assert (found.status, found.products) == (Status.PASSED, ("model_linux_x86_64.om",))
    assert all(name.endswith(ASCEND.made_of("onnx")) for name in found.products)


FAILURES = {
    "code without parser": (
        f"{FAILURE}\necho 'E16002: No parser is registered for Op [Attention_1, optype [Attention]].'\nexit 255",
        "no parser for this operator at this opset",
    ),
    "old code without parser": (f"echo 'EZ9010: No parser is registered'\n{FAILURE}\nexit 255", "no parser"),
    "no kernel": (
        f"echo 'EZ3003: No supported Ops kernel and engine are found for [a], optype [B].'\n{FAILURE}\nexit 255",
        "check --soc",
    ),
    "success and no file": (SUCCESS, "wrote no model.om"),
    "success and an empty file": (f'{OUTPUT}\n: > "$out.om"\n{SUCCESS}', "or an empty one"),
    "a file and no word of success": (GOOD, "without saying 'ATC run success'"),
    "the word of failure and exit code 0": (
        f"{GOOD}{FAILURE}",
        "atc exited with 0 although it said 'ATC run failed'; see its log",
    ),
    "success and another exit code": (f"{GOOD}{SUCCESS}\nexit 255", "exited with 255"),
    "both words": (
        f"{GOOD}{FAILURE}\n{SUCCESS}",
        "atc exited with 0 although it said 'ATC run failed' as well as 'ATC run success'; see its log",
    ),
    "both words the other way round": (f"{GOOD}{SUCCESS}\n{FAILURE}", "as well as 'ATC run success'; see its log"),
    "silence": ("exit 255", "said nothing"),
    "killed": ("kill -9 $$", "TE_PARALLEL_COMPILER=1"),
    "a worker killed": (f"echo EOFError\n{FAILURE}\nexit 255", "TE_PARALLEL_COMPILER=1"),
    "no environment": (
        "echo 'atc: error while loading shared libraries: libascendcl.so: cannot open'\nexit 127",
        "source set_env.sh",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_no_failure_passes(
    name: str, job_of: Callable[..., CompileJob], sdk: Callable[..., Path], tmp_path: Path
) -> None:
    body, message = FAILURES[name]
    found = VENDOR(job_of(toolchain=sdk("atc", body), **SOC), tmp_path / "out")
    assert found.status is Status.FAILED, found.reason
    assert message in found.reason
    assert "\n" not in found.reason
    assert found.products == ()
    assert not list((tmp_path / "out").glob("*.om"))
    assert (tmp_path / "out" / "model.atc.log").exists()


def test_a_failure_takes_an_earlier_result_away(
    job_of: Callable[..., CompileJob], sdk: Callable[..., Path], tmp_path: Path
) -> None:
    job = job_of(toolchain=sdk("atc", GOOD + SUCCESS), **SOC)
    VENDOR(job, tmp_path / "out")
    sdk("atc", "exit 255")
    VENDOR(job, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.om"))


def test_warnings_with_codes_do_not_fail_a_success(
    job_of: Callable[..., CompileJob], sdk: Callable[..., Path], tmp_path: Path
) -> None:
    body = f"{GOOD}echo '[WARNING] E10055 was raised and handled'\n{SUCCESS}"
    found = VENDOR(job_of(toolchain=sdk("atc", body), **SOC), tmp_path / "out")
    assert found.status is Status.PASSED


def test_a_failure_leaves_other_models_alone(
    job_of: Callable[..., CompileJob], sdk: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model-two.om").write_bytes(b"another")
    found = VENDOR(job_of(toolchain=sdk("atc", SUCCESS), **SOC), tmp_path / "out")
    assert (found.status, found.products) == (Status.FAILED, ())
    assert (tmp_path / "out" / "model-two.om").read_bytes() == b"another"


def test_what_the_tool_leaves_beside_the_model_goes_to_the_results(
    job_of: Callable[..., CompileJob], sdk: Callable[..., Path], tmp_path: Path
) -> None:
    body = f"{GOOD}mkdir -p kernel_meta; echo x > kernel_meta/a; echo y > fusion_result.json\n{SUCCESS}"
    job = job_of(toolchain=sdk("atc", body), **SOC)
    VENDOR(job, tmp_path / "out")
    assert [path.name for path in job.path.parent.iterdir()] == ["model.onnx"]
    assert (tmp_path / "out" / "model.atc" / "fusion_result.json").is_file()
    assert (tmp_path / "out" / "model.atc" / "kernel_meta" / "a").is_file()


def test_the_environment_script_comes_first(
    job_of: Callable[..., CompileJob], sdk: Callable[..., Path], tmp_path: Path
) -> None:
    folder = sdk("atc", f'[ "$CANN_IS_SET" = 1 ] || exit 3\n{GOOD}{SUCCESS}')
    (folder / "set_env.sh").write_text("export CANN_IS_SET=1 $UNSET_VARIABLE\nfalse\n")
    found = VENDOR(job_of(toolchain=folder / "bin" / "atc", **SOC), tmp_path / "out")
    assert found.status is Status.PASSED, found.reason


@pytest.mark.skipif(Path("/dev/davinci0").exists(), reason="a host with a card")
def test_a_host_without_a_card_gets_the_drivers_libraries(
    job_of: Callable[..., CompileJob], sdk: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import platform

    folder = sdk("atc", f'case "$LD_LIBRARY_PATH" in *-linux/devlib:*) ;; *) exit 3;; esac\n{GOOD}{SUCCESS}')
    (folder / f"{platform.machine()}-linux" / "devlib").mkdir(parents=True)
    monkeypatch.setenv("ASCEND_HOME_PATH", str(folder))
    found = VENDOR(job_of(**SOC), tmp_path / "out")
    assert found.status is Status.PASSED, found.reason
    assert "devlib" in (tmp_path / "out" / "model.sh").read_text()


def test_the_sdk_is_found_by_its_variable(
    job_of: Callable[..., CompileJob], sdk: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASCEND_HOME_PATH", str(sdk("atc", GOOD + SUCCESS)))
    assert VENDOR(job_of(**SOC), tmp_path / "out").status is Status.PASSED


def test_a_toolchain_that_is_not_there_is_an_error(job_of: Callable[..., CompileJob], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found nothing at"):
        VENDOR(job_of(toolchain=tmp_path / "none", **SOC), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_same_job_writes_the_same_bytes(job_of: Callable[..., CompileJob], tmp_path: Path) -> None:
    job = job_of(run=False, precision="mixed", **SOC)
    for name in ("one", "two"):
        VENDOR(job, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        if not path.name.endswith(".compilation.json"):  # it holds the digests of the others, and the folder's name
            assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes().replace(b"two", b"one")


def test_every_code_has_one_fix() -> None:
    listed = [code for codes in KINDS.values() for code in codes]
    assert len(set(listed)) == len(listed)
    assert not set(listed) & set(FIXES)
    assert fix_of("E10099") == OPTION
    assert "inside of CANN" in fix_of("EZ9999")
    assert "documents" in fix_of("E50001")


def test_the_first_code_explains() -> None:
    said = "noise\n[ERROR] E10041 Failed to load the model\nE19999 Inner Error\n"
    assert explain(said).startswith("E10041: Failed to load the model; the weights were not found")
    assert explain("E1 EABCDE nothing") == ""
    missing = "EC0010: [PID: 1] Failed to import Python module [ModuleNotFoundError: No module named 'decorator'.]."
    assert "pip install attrs decorator" in explain(missing)


def test_further_options_go_last(job_of: Callable[..., CompileJob]) -> None:
    job = replace(job_of(**SOC), extra=("--external_weight=2",))
    assert plan(job, HERE).steps[0].options[-1] == "--external_weight=2"


def test_an_older_cann_gets_its_own_precision_mode_alone(job_of: Callable[..., CompileJob]) -> None:
    found = options(job_of(extra=("--precision_mode=must_keep_origin_dtype",), **SOC))
    assert found["precision_mode"] == "must_keep_origin_dtype"
    assert "precision_mode_v2" not in found
