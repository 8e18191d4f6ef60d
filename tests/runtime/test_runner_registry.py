"""One contract for every runner, and what a runner of another package may and may not do."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import lwmport
from lwmport.cli.listing import catalogue
from lwmport.errors import PortError, RunnerError, UsageError
from lwmport.models.llama.test_inputs import language_inputs
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.reopen import reopen
from lwmport.pipeline.validate.request import ValidateRequest
from lwmport.pipeline.validate.run import validate
from lwmport.processors import processors
from lwmport.runtime.registry import RUNNERS, check_takes, open_runner, runner_for, takers
from lwmport.runtime.runners.openvino import write_ir
from lwmport.runtime.spec import RunnerContext
from lwmport.targets.cpu.compile import ENGINES
from lwmport.types import Array, Runner, Signature, Status

SMALL = {
    "vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_sequence_length": 64,
}  # fmt: skip
FORMATS = {
    ".gguf": ("gguf", "gguf", "llama"),
    ".hf": ("hf", "hf", "llama"),
    ".onnx": ("onnx", "onnx", "llama-head"),
    ".pb": ("frozen_graph", "graphdef", "llama-head"),
    ".saved_model": ("saved_model", "tf", "llama-head"),
    ".tflite": ("tflite", "aipu-tflite", "llama-head"),
}
"""Suffix -> format, dialect and component of a small artifact."""

STARTING = [(name, suffix) for name, spec in RUNNERS.items() if not spec.why_not() for suffix in spec.suffixes]
Made = tuple[Path, Signature, dict[str, Array]]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """Return what makes a small model of a suffix, once: its file, its signature, and inputs that it takes."""
    known: dict[str, Made] = {}

    def make(suffix: str) -> Made:
        if suffix not in known:
            known[suffix] = _ir(make(".onnx")) if suffix == ".xml" else _converted(tmp_path_factory, *FORMATS[suffix])
        return known[suffix]

    return make


def _converted(folders: pytest.TempPathFactory, form: str, dialect: str, component: str) -> Made:
    out = folders.mktemp(form)
    given = {"tokenizer": "none"} if form == "gguf" else {}
    request = lwmport.ConvertRequest(
        component=component, format=form, dialect=dialect, out=out, config=SMALL, validate=False, **given
    )
    lwmport.convert(request)
    made = reopen(out)
    part = made.parts[0]
    return made.path(part), part.signature, dict(language_inputs(made.component(part.name), 1).inputs)


def _ir(made: Made) -> Made:
    path, signature, inputs = made
    return write_ir(path, path.parent / "ir" / "model.xml")[0], signature, inputs


@pytest.fixture(scope="module", params=STARTING, ids=lambda item: f"{item[0]}{item[1]}")
def opened(request: pytest.FixtureRequest, artifact: Callable[[str], Made]) -> Iterator[tuple[Runner, Made]]:
    name, suffix = request.param
    if suffix == ".ort":
        pytest.skip("an .ort file is made of an .onnx by a tool of ONNX Runtime")
    made = artifact(suffix)
    runner = RUNNERS[name].open(made[0], RunnerContext(signature=made[1], threads=processors()))
    yield runner, made
    runner.close()


@pytest.mark.parametrize("name", RUNNERS)
def test_a_runner_says_what_it_is(name: str) -> None:
    spec = RUNNERS[name]
    assert spec.name == name
    assert spec.title
    assert spec.suffixes
    assert all(suffix.startswith(".") for suffix in spec.suffixes)
    assert "\n" not in spec.why_not()
    assert not spec.why_not() or "; " in spec.why_not(), "what is missing, and what to do"
    assert spec.needs, "any runtime may be missing"
    assert list(inspect.signature(spec._opener()).parameters) == ["path", "context"]


@pytest.mark.parametrize("name", [name for name, spec in RUNNERS.items() if spec.why_not()])
def test_what_cannot_start_here_costs_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{RUNNERS[name].suffixes[0]}"
    path.write_bytes(b"model")
    with pytest.raises(PortError) as caught:
        RUNNERS[name].open(path, RunnerContext(signature=Signature(inputs=(), outputs=())))
    assert "\n" not in str(caught.value)


def test_a_runner_gives_what_the_signature_promises(opened: tuple[Runner, Made]) -> None:
    runner, (_, signature, inputs) = opened
    found = runner.run(inputs)
    promised = {spec.name: (spec.dtype, len(spec.shape)) for spec in signature.outputs}
    assert {name: (array.dtype.name, array.ndim) for name, array in found.items()} == promised
    assert {spec.name: (spec.dtype, len(spec.shape)) for spec in runner.outputs} == promised
    assert {spec.name: spec.dtype for spec in runner.inputs} == {spec.name: spec.dtype for spec in signature.inputs}
    assert all(np.isfinite(array).all() for array in found.values())


def test_a_runner_has_all_that_the_protocol_names(opened: tuple[Runner, Made]) -> None:
    runner, _ = opened
    for name in ("inputs", "notes", "outputs"):
        assert isinstance(getattr(runner, name), tuple)
    assert isinstance(runner.name, str)
    assert runner.streamed is ("a forecast" in runner.name), "a forecast is not timed"


def test_a_runner_refuses_inputs_that_do_not_fit(opened: tuple[Runner, Made]) -> None:
    runner, (_, _, inputs) = opened
    name, array = next(iter(inputs.items()))
    for wrong in ({}, {**inputs, name: array.astype(np.complex64)}, {**inputs, name: array[None]}):
        with pytest.raises(RunnerError, match="expected") as caught:
            runner.run(wrong)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "suffix"), [("onnxruntime", ".onnx"), ("litert", ".tflite"), ("openvino", ".onnx")])
def test_a_closed_runner_is_refused_in_one_line(name: str, suffix: str, artifact: Callable[[str], Made]) -> None:
    path, _, inputs = artifact(suffix)
    runner = open_runner(path, name=name)
    runner.close()
    runner.close()
    with pytest.raises(RunnerError, match="found a closed one; open it again"):
        runner.run(inputs)


USUAL = {
    ".gguf": "gguf",
    ".hf": "transformers",
    ".mxr": "migraphx",
    ".om": "ascend",
    ".onnx": "onnxruntime",
    ".ort": "onnxruntime",
    ".pb": "tensorflow",
    ".saved_model": "tensorflow",
    ".tflite": "litert",
    ".txt": "compass",
    ".xml": "openvino",
}


@pytest.mark.parametrize("suffix", sorted({suffix for spec in RUNNERS.values() for suffix in spec.suffixes}))
def test_the_suffix_decides_where_nobody_does(suffix: str) -> None:
    assert runner_for(Path(f"model{suffix}")).name == USUAL[suffix]


def test_the_engines_of_the_cpu_are_runners() -> None:
    for form, names in ENGINES.items():
        suffix = ConvertRequest(component="", format=form, out=Path()).suffix
        assert names[0] == runner_for(Path(f"model{suffix}")).name
        assert all(suffix in RUNNERS[name].suffixes for name in names)


WRONG = {
    "unknown": ("onnxruntim", "model.onnx", "did you mean 'onnxruntime'"),
    "another file's": ("litert", "model.onnx", "for .onnx, use --runner onnxruntime or openvino or migraphx"),
    "nobody's": ("litert", "model.bin", "no runner takes .bin"),
    "nobody's, unasked": (None, "model.bin", "expected a kind of model file out of .gguf, "),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_choice_costs_one_line(case: str) -> None:
    name, path, message = WRONG[case]
    with pytest.raises(UsageError, match=message):
        runner_for(Path(path), name)


def test_a_runner_says_which_files_it_takes_before_there_is_one() -> None:
    check_takes("onnxruntime", ".onnx")
    with pytest.raises(
        UsageError, match=r"expected a file that litert runs \(.tflite\), found .onnx files; for .onnx, "
    ):
        check_takes("litert", ".onnx")


STRANGER = """
from lwmport.runtime.base_runner import BaseRunner
from lwmport.runtime.inputs import spec_of
from lwmport.runtime.spec import RunnerSpec


class ReferenceRunner(BaseRunner):
    name = "ONNX's reference evaluator"

    def __init__(self, path, context):
        from onnx import helper
        from onnx.reference import ReferenceEvaluator

        self._session = ReferenceEvaluator(str(path))
        graph = self._session.proto_.graph
        self.inputs, self.outputs = (
            tuple(
                spec_of(
                    item.name,
                    [dim.dim_value or dim.dim_param for dim in item.type.tensor_type.shape.dim],
                    helper.tensor_dtype_to_np_dtype(item.type.tensor_type.elem_type).name,
                )
                for item in items
            )
            for items in (graph.input, graph.output)
        )

    def _run(self, inputs):
        names = [spec.name for spec in self.outputs]
        return dict(zip(names, self._session.run(names, dict(inputs))))


SPEC = RunnerSpec(
    name="onnx-reference", title="ONNX's reference evaluator", suffixes=(".onnx", ".onnx2"), opener=ReferenceRunner,
    priority=9,
)
"""


@pytest.fixture
def stranger(install_package: Callable[..., None]) -> None:
    """Install a package with a runner."""
    install_package("stranger-runner", "stranger_runner", STRANGER, RUNNERS.group, {"onnx-reference": "SPEC"})


@pytest.mark.usefixtures("stranger")
def test_a_runner_of_another_package_judges_artifacts(artifact: Callable[[str], Made]) -> None:
    assert "can start here" in catalogue()["runners"]["onnx-reference"]
    found = validate(ValidateRequest(artifact=artifact(".onnx")[0], runner="onnx-reference"))
    assert found.report is not None
    assert found.status is Status.PASSED
    assert found.report.components[0].validation.runner == "ONNX's reference evaluator"


@pytest.mark.usefixtures("stranger")
def test_to_install_a_package_changes_no_verdict() -> None:
    assert runner_for(Path("model.onnx")).name == "onnxruntime"
    assert [spec.name for spec in takers(".onnx")][-1] == "onnx-reference"
    assert runner_for(Path("model.onnx2")).name == "onnx-reference", "what none of ours takes"


def test_threads_that_no_machine_has_are_refused_before_they_are_started() -> None:
    with pytest.raises(UsageError, match="expected at most 1,024 threads, found 100,000"):
        RunnerContext(threads=100_000)
