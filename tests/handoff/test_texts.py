"""README.txt: the commands in it are ones that verify.py takes."""

import pytest

from lwmport.handoff import record, standalone
from lwmport.handoff.record import ComponentSpec, Spec
from lwmport.handoff.texts import FROM_FILES, readme
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


@pytest.mark.parametrize(("target", "form", "soc"), RUNS)
def test_the_readme_names_a_runtime_that_opens_the_models(target: str, form: str, soc: str | None) -> None:
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
    spec = Spec(format=record.SPEC_FORMAT, target=target, reference="a test", weights="none", components=(part,))
    device = Device(target=target, soc=soc, precision="float32")
    lines = [line.strip() for line in readme(spec, (), runtime_of(device, form)).splitlines()]
    found = [
        line for line in lines if line.startswith(("python verify.py --runner", FROM_FILES)) and "NAME" not in line
    ]
    assert found == list(dict.fromkeys([FROM_FILES, RUNS[target, form, soc]]))
    for line in found:
        options = standalone.arguments(line.split()[2:])
        standalone.check_unused(options)
