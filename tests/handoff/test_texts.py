"""README.txt and its Chinese twin: the commands in them are ones that verify.py takes, and the same in both."""

import re

import pytest

from lwmport.handoff import record, standalone
from lwmport.handoff.record import ComponentSpec, Spec
from lwmport.handoff.texts import FROM_FILES, READMES, WIDTH, readmes
from lwmport.pipeline.bundle.bundle_targets import Device, runtime_of

RUNS = {
    ("cpu", "onnx", None): "python verify.py --runner onnxruntime",
    ("cpu", "onnx", "onnxruntime"): "python verify.py --runner onnxruntime",
    ("cpu", "onnx", "openvino"): FROM_FILES,
    ("cpu", "tflite", None): "python verify.py --runner litert",
    ("cpu", "tflite", "openvino"): FROM_FILES,
    ("cpu", "frozen_graph", None): FROM_FILES,
    ("cpu", "saved_model", None): FROM_FILES,
    ("aipu", "onnx", None): FROM_FILES,
    ("migraphx", "onnx", None): "python verify.py --runner onnxruntime-migraphx",
    ("ascend", "frozen_graph", "Ascend310P3"): "python verify.py --runner ascend --model small=compile/small/small.om",
}


SCRIPTS = ("compile/small/small.sh", "compile/large/large.sh")
CHOICES = ("heads 32, theta 50000000 (--config lwm-chat-1m)", "chip Ascend310P3 (default of ascend)")


def spec_of(target: str, form: str = "onnx") -> Spec:
    part = ComponentSpec(
        name="small",
        model=f"models/small.{form}",
        format=form,
        precision="float32",
        inputs=(),
        outputs=(),
        processing={},
        observed={},
        tolerances={},
        codes={},
        samples=(),
        calibration=None,
    )
    return Spec(format=record.SPEC_FORMAT, target=target, reference="a test", weights="none", components=(part,))


@pytest.mark.parametrize("language", READMES)
@pytest.mark.parametrize(("target", "form", "soc"), RUNS)
def test_the_readme_names_a_runtime_that_opens_the_models(
    target: str, form: str, soc: str | None, language: str
) -> None:
    device = Device(target=target, soc=soc, precision="float32")
    text = readmes(spec_of(target, form), (), runtime_of(device, form))[language]
    lines = [line.strip() for line in text.splitlines()]
    found = [
        line for line in lines if line.startswith(("python verify.py --runner", FROM_FILES)) and "NAME" not in line
    ]
    assert found == list(dict.fromkeys([FROM_FILES, RUNS[target, form, soc]]))
    for line in found:
        options = standalone.arguments(line.split()[2:])
        standalone.check_unused(options)


def ascii_of(text: str) -> set[str]:
    """Return what no language changes: paths, options, commands and facts of records."""
    words = re.findall(r"[!-~]+", text)
    return {word.strip(".,:;()") for word in words if re.search(r"[/_.]\w|--|^\d+\b", word)}


@pytest.mark.parametrize("answer", ["", "Proven on a CPU within 2.4e-6. Not run on the device."])
@pytest.mark.parametrize("scripts", [(), SCRIPTS])
@pytest.mark.parametrize("target", ["cpu", "ascend", "aipu"])
def test_both_languages_say_the_same(target: str, scripts: tuple[str, ...], answer: str) -> None:
    english, chinese = readmes(spec_of(target), scripts, "onnxruntime", CHOICES, answer).values()
    assert ascii_of(english) - {READMES[1]} == ascii_of(chinese) - {READMES[0]}
    for line in (*CHOICES, *(f"bash {name}" for name in scripts), *answer.split(". ")):
        assert line in chinese
    for text in (english, chinese):
        assert [line[0] for line in text.splitlines() if re.match(r"\d\. ", line)] == list("12345")


def test_lines_fit_a_terminal() -> None:
    for text in readmes(spec_of("ascend"), SCRIPTS, None, CHOICES).values():
        for line in text.splitlines():
            assert sum(2 if ord(char) > 0x2E80 else 1 for char in line) <= WIDTH, line
