"""An option that a target's tools have no use for is refused before anything is done."""

from pathlib import Path
from typing import Any

import pytest

from lwmport.errors import UsageError
from lwmport.pipeline.check import CheckRequest, check_artifacts
from lwmport.pipeline.compile.run import CompileRequest, compile_artifacts
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.pipeline.port.run import PortRequest
from lwmport.targets.compile.devices import check_options
from lwmport.targets.compile.job import read_gears
from lwmport.targets.registry import TARGETS
from lwmport.targets.target import OPTIONS

COMPILING: dict[str, Any] = {
    "extra": ("--debug",), "keep_float32": ("Conv",), "pictures_as_bytes": True, "toolchain": Path("/sdk"),
}  # fmt: skip
TAKERS = {name: sorted(own for own in TARGETS.table if name in TARGETS[own].options) for name in OPTIONS}
CHECKING = {"chip": ("soc", "Ascend310P3"), "cann": ("toolkit", "5.0.4")}


@pytest.mark.parametrize("target", TARGETS.table)
@pytest.mark.parametrize("name", OPTIONS)
def test_it_is_taken_or_refused_with_who_takes_it(name: str, target: str) -> None:
    check_options(target, {name: None})
    if target in TAKERS[name]:
        check_options(target, {name: "given"})
        return
    with pytest.raises(UsageError, match=f"^expected --.* with the target {' or '.join(TAKERS[name])}, found {target}"):
        check_options(target, {name: "given"})


@pytest.mark.parametrize("name", COMPILING)
def test_a_compilation_hears_it_or_refuses_it_before_it_looks_for_the_model(name: str) -> None:
    given = {name: COMPILING[name]}
    with pytest.raises(UsageError, match=f"expected --{name.replace('_', '-')} with the target"):
        compile_artifacts(CompileRequest(artifact=Path("none"), target="cpu", **given))


@pytest.mark.parametrize("name", CHECKING)
def test_a_check_hears_it_or_refuses_it(name: str) -> None:
    field, value = CHECKING[name]
    given: dict[str, Any] = {field: value}
    with pytest.raises(UsageError, match=r"expected --(soc|cann) with the target"):
        check_artifacts(CheckRequest(artifact=Path("none"), target="cpu", **given))


def test_a_port_without_a_toolchain_refuses_one() -> None:
    conversion = ConvertRequest(component="vqgan", format="onnx", out=Path("out"))
    with pytest.raises(UsageError, match="expected --toolchain with the target aipu or ascend or migraphx, found cpu"):
        PortRequest(conversion=conversion, target="cpu", toolchain=Path("/sdk"))


def test_a_checkpoint_is_for_samples_alone() -> None:
    with pytest.raises(UsageError, match="expected --checkpoint with --calibration auto, found it without"):
        compile_artifacts(CompileRequest(artifact=Path("none"), target="ascend", checkpoint="weights"))


@pytest.mark.parametrize(("text", "said"), [("batch=2", r"dimensions \(none\) of"), ("side=2", "found side")])
def test_a_size_of_what_is_not_dynamic_is_refused_on_the_cpu(text: str, said: str, tmp_path: Path) -> None:
    small = {"vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 2}
    made = ConvertRequest(component="llama-embed", format="tflite", out=tmp_path, config=small, validate=False)
    convert(made)
    asked = CompileRequest(artifact=tmp_path, target="cpu", gears=read_gears(text), run=False)
    with pytest.raises(UsageError, match=said):
        compile_artifacts(asked)


def test_every_option_above_is_tried() -> None:
    assert {*COMPILING, *CHECKING} == set(OPTIONS)
