"""README.txt: the commands in it are ones that verify.py takes."""

import pytest

from lwmport.handoff import record, standalone
from lwmport.handoff.record import ComponentSpec, Spec
from lwmport.handoff.texts import FROM_FILES, readme

RUNS = {
    ("cpu", "onnx"): "python verify.py --runner onnxruntime",
    ("cpu", "tflite"): "python verify.py --runner litert",
    ("cpu", "frozen_graph"): FROM_FILES,
    ("cpu", "saved_model"): FROM_FILES,
    ("aipu", "onnx"): FROM_FILES,
    ("migraphx", "onnx"): "python verify.py --runner onnxruntime-migraphx",
    ("ascend", "frozen_graph"): "python verify.py --runner ascend --model small=compile/small/small.om",
}


@pytest.mark.parametrize(("target", "form"), RUNS)
def test_the_readme_names_a_runtime_that_opens_the_models(target: str, form: str) -> None:
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
    lines = [line.strip() for line in readme(spec, ()).splitlines()]
    found = [
        line for line in lines if line.startswith(("python verify.py --runner", FROM_FILES)) and "NAME" not in line
    ]
    assert found == list(dict.fromkeys([FROM_FILES, RUNS[target, form]]))
    for line in found:
        options = standalone.arguments(line.split()[2:])
        standalone.check_unused(options)
