"""Every name that a user may write: in any case, by another word, and what is said of one that is unknown."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import lwmport
from lwmport.converters import CONVERTERS
from lwmport.errors import UsageError
from lwmport.models.families import NAMES, config_names, resolve
from lwmport.models.llama.released import OTHER_NAMES
from lwmport.models.options import Options
from lwmport.pipeline.checkpoint.convert import Conversion
from lwmport.pipeline.checkpoint.make import Recipe
from lwmport.pipeline.names import CHECKPOINTS, named, words_of
from lwmport.pipeline.port.jobs import read_jobs
from lwmport.registry import check_known, meant, nearest
from lwmport.runtime.registry import RUNNERS
from lwmport.targets.registry import TARGETS

KNOWN: dict[str, Any] = {"component": "llama", "target": "ascend", "format": "onnx"}
FIELDS = ("component", "config", "dialect", "dtype", "form", "format", "precision", "runner", "soc", "target", "taps")
SPELLINGS = [
    pytest.param(field, name, id=f"{field} {name}")
    for field in FIELDS
    for name in words_of(field, KNOWN).known  # type: ignore[union-attr]
]


@pytest.mark.parametrize(("field", "name"), SPELLINGS)
def test_case_and_dashes_do_not_matter(field: str, name: str) -> None:
    for text in (name, name.upper(), name.title(), name.replace("-", "_"), name.replace("_", "-")):
        assert named({**KNOWN, field: text})[field] == name


OTHERS = {
    ("precision", "fp16"): "float16",
    ("precision", "half"): "float16",
    ("precision", "BF16"): "bfloat16",
    ("precision", "FP32"): "float32",
    ("target", "Zhouyi"): "aipu",
    ("target", "DCU"): "migraphx",
    ("target", "ROCm"): "migraphx",
    ("target", "huawei"): "ascend",
    ("format", "SavedModel"): "saved_model",
    ("format", "saved-model"): "saved_model",
    ("format", "HuggingFace"): "hf",
    ("format", "hugging-face"): "hf",
    ("format", "TF-Lite"): "tflite",
    ("form", "HuggingFace"): "hf",
    ("form", "flax"): "flax_msgpack",
    ("runner", "ORT"): "onnxruntime",
    ("config", "7B"): "7b",
}


@pytest.mark.parametrize(("field", "text"), OTHERS)
def test_another_word_becomes_the_one_name(field: str, text: str) -> None:
    assert named({**KNOWN, field: text})[field] == OTHERS[field, text]


@pytest.mark.parametrize("text", OTHER_NAMES)
def test_released_weights_name_their_configuration(text: str) -> None:
    component = "vision-llama" if "LWM-Chat" in text else "llama"
    assert named({"component": component, "config": text})["config"] == OTHER_NAMES[text]
    assert OTHER_NAMES[text] in config_names(component)


def test_a_released_name_is_the_configuration_of_its_model() -> None:
    assert resolve("llama", "LargeWorldModel/LWM-Text-512K").config["theta"] == 2.5e7
    assert resolve("llama-block", "LWM-Chat-1M-Jax").config["max_sequence_length"] == 2**20


@pytest.mark.parametrize(
    ("field", "text", "names"),
    [
        ("target", "NPU", "ascend or aipu"),
        ("format", "TensorFlow", "frozen_graph or saved_model"),
        ("form", "msgpack", "msgpack_stream or flax_msgpack"),
    ],
)
def test_a_word_for_several_is_asked_back_for(field: str, text: str, names: str) -> None:
    with pytest.raises(UsageError, match=f"found '{text}', which may mean {names}; name one"):
        named({field: text})


@pytest.mark.parametrize(
    ("target", "text", "name"),
    [
        ("ascend", "ASCEND310p3", "Ascend310P3"),
        ("ascend", "ascend310p3VIR04", "Ascend310P3vir04"),
        ("aipu", "x2_1204mp3", "X2_1204MP3"),
        ("aipu", "X1", "X1_1204"),
        ("dcu", "GFX936", "gfx936"),
        ("migraphx", "K100-AI", "gfx928"),
        ("migraphx", "bw1000", "gfx936"),
        ("cpu", "OpenVINO", "openvino"),
    ],
)
def test_a_chip_is_found_by_its_name_and_by_a_family_that_is_one_chip(target: str, text: str, name: str) -> None:
    assert named({"target": target, "format": "onnx", "soc": text})["soc"] == name


def test_a_family_of_several_chips_is_asked_back_for() -> None:
    with pytest.raises(
        UsageError, match="expected one device of aipu, found 'X2', which may mean X2_1204 or X2_1204MP3"
    ):
        named({"target": "aipu", "soc": "X2"})


def test_aliases_are_no_names_and_lead_to_names() -> None:
    for known, aliases in ((TARGETS, TARGETS.aliases), (RUNNERS, RUNNERS.aliases), (CONVERTERS, CONVERTERS.aliases)):
        assert not set(aliases) & set(known)
        assert {name for found in aliases.values() for name in found} <= set(known)
    forms = words_of("form", {})
    assert forms is not None
    assert {name for found in CHECKPOINTS.values() for name in found} <= set(forms.known)


def test_requests_hold_the_one_name(tmp_path: Path) -> None:
    options = Options(precision="FP16", attention="Loop", sample_mode="ALL", store="")
    assert (options.precision, options.attention, options.sample_mode) == ("float16", "loop", "all")
    conversion = lwmport.ConvertRequest(
        component="Vision_LLaMA",
        format="ONNX",
        out=tmp_path,
        config="LWM-Chat-1M",
        dialect="ORT",
        taps="LAYERS",
        runner="ort",
    )
    found = (conversion.component, conversion.format, conversion.config, conversion.dialect, conversion.taps)
    assert found == ("vision-llama", "onnx", "lwm-chat-1m", "ort", "layers")
    assert conversion.runner == "onnxruntime"
    assert "vision-llama --to onnx --config lwm-chat-1m --dialect ort" in conversion.commands()[0]
    plain = replace(conversion, dialect=None, runner=None, taps=None)
    port = lwmport.PortRequest(conversion=plain, target="Hygon", soc="K100_ai")
    assert (port.target, port.soc, port.bundle.name) == ("migraphx", "gfx928", "vision-llama-migraphx.zip")
    assert lwmport.CheckRequest(artifact="x", target="ASCEND", soc="ascend910b1", precision="half").soc == "Ascend910B1"
    assert lwmport.CompileRequest(artifact="x", target="Zhouyi", precision="INT8").precision == "int8"
    assert lwmport.BundleRequest(folder="x", target="CPU", out="x.zip").target == "cpu"
    assert lwmport.ValidateRequest(artifact="x", runner="OpenVINO").runner == "openvino"
    assert lwmport.VerifyRequest(path="x", runner="ORT").runner == "onnxruntime"
    recipe = Recipe(component="LLaMA", config="Debug", form="stream", dtype="bf16")
    assert (recipe.component, recipe.config, recipe.form, recipe.dtype) == (
        "llama",
        "debug",
        "msgpack_stream",
        "bfloat16",
    )
    assert Conversion(form="HuggingFace", dtype="half").dtype == "float16"


def test_jobs_hold_the_one_name(tmp_path: Path) -> None:
    file = tmp_path / "jobs.toml"
    file.write_text(
        '[matrix]\ncomponent = ["VQGAN", "vqgan_encoder"]\ntarget = ["Zhouyi", "CPU"]\nprecision = ["fp16"]\n'
        'config = "DEBUG"\n[[exclude]]\ncomponent = ["VQGAN"]\ntarget = "zhouyi"\n'
    )
    found = read_jobs(file)
    assert [job.name for job in found.jobs] == [
        "vqgan-cpu-onnx-float16",
        "vqgan-encoder-aipu-onnx-float16",
        "vqgan-encoder-cpu-onnx-float16",
    ]
    assert {job.request.conversion.config for job in found.jobs} == {"debug"}


def test_a_job_with_a_word_for_several_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "jobs.toml"
    file.write_text('[[jobs]]\ncomponent = "vqgan"\ntarget = "npu"\n')
    with pytest.raises(
        UsageError, match=r"jobs\.toml: expected one target, found 'npu', which may mean ascend or aipu"
    ):
        read_jobs(file)


NEAREST = {
    ("vqgan-enc", tuple(NAMES)): "vqgan-encoder",
    ("vqgan_decodr", tuple(NAMES)): "vqgan-decoder",
    ("LAMA", tuple(NAMES)): "llama",
    ("vision", tuple(NAMES)): "vision-llama",
    ("llama-pre", tuple(NAMES)): "llama-prefill",
    ("asend", tuple(TARGETS)): "ascend",
    ("migraph", tuple(TARGETS)): "migraphx",
    ("310P3", tuple(TARGETS["ascend"].chips)): "Ascend310P3",
    ("Ascend310P33", tuple(TARGETS["ascend"].chips)): "Ascend310P3",
    ("onnx-runtime", tuple(RUNNERS)): "onnxruntime",
    ("lwm-chat-1", config_names("vision-llama")): "lwm-chat-1m",
}


@pytest.mark.parametrize(("text", "names"), NEAREST, ids=[text for text, _ in NEAREST])
def test_the_right_suggestion_comes_first(text: str, names: tuple[str, ...]) -> None:
    right = NEAREST[text, names]
    assert nearest(text, names)[0] == right
    with pytest.raises(UsageError, match=f"expected a thing out of {right}, .*; did you mean '{right}'"):
        check_known("thing", text, names)


def test_an_alias_that_is_nearly_written_suggests_its_name() -> None:
    with pytest.raises(UsageError, match=r"expected a target out of aipu, .*found 'zhouji'; did you mean 'aipu'"):
        TARGETS.require("zhouji")


def test_a_long_list_is_cut() -> None:
    with pytest.raises(UsageError, match=r"expected a component out of .* and 10 more, found 'q'"):
        check_known("component", "q", [f"name-{i}" for i in range(15)])


def test_names_that_differ_in_case_alone_are_both_reached() -> None:
    assert [meant("thing", text, ["a", "A"]) for text in ("a", "A")] == ["a", "A"]
    assert meant("thing", "b-C", ["b_c", "B-C"]) == "b-C"
