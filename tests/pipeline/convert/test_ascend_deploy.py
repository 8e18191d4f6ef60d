"""``--dialect ascend-deploy --quantize w8a8``: CANN's own operators, judged by their formulas; planted faults fail."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from judged_again import VQGAN
from onnx import helper, numpy_helper

import lwmport
from lwmport.errors import RunnerError
from lwmport.models.options import Options
from lwmport.pipeline.reopen import reopen
from lwmport.pipeline.validate.convolutions_alone import compare_alone, expected_alone
from lwmport.pipeline.validate.integers import integers_of
from lwmport.pipeline.validate.reference_runs import gather
from lwmport.pipeline.validate.test_inputs import Sampling
from lwmport.runtime.runners.ascend_pairs import with_pairs
from lwmport.targets.preflight import Conditions, check
from lwmport.types import Array, Status

KEEP = ("decoder/[!M]*/kernel=float32", "*ResnetBlock_0*=float32")


class Deployed:
    """A small decoder, converted and judged, and what the reference expects of each convolution."""

    def __init__(self, folder: Path) -> None:
        request = lwmport.Request(
            component="vqgan-decoder",
            format="onnx",
            dialect="ascend-deploy",
            config=VQGAN,
            options=Options(quantize="w8a8", keep=KEEP),
            out=folder,
        )
        self.outcome = lwmport.convert(request)
        (self.part,) = self.outcome.manifest.components
        self.path = folder / self.part.path
        found = reopen(folder)
        self.weights = found.component_weights("vqgan-decoder")
        self.run = gather(found.component("vqgan-decoder"), self.weights, 1, sampling=Sampling(count=1))
        self.expected = expected_alone(self.run, self.weights, self.part.signature)

    def failures(self, path: Path) -> list[str]:
        diffs, _ = compare_alone(path, self.part.signature, self.run, self.expected)
        return [diff.name for diff in diffs if diff.status is not Status.PASSED]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return Deployed(tmp_path_factory.mktemp("deployed") / "out")


def test_it_passes_both_verdicts_and_has_the_forms_of_amct(deployed: Deployed) -> None:
    assert deployed.outcome.status is Status.PASSED, deployed.outcome.report.sentence
    (section,) = deployed.outcome.report.components
    assert "as the pairs that they stand for" in str([timing.runner for timing in section.timings])
    assert any("Each was run alone" in note for note in section.notes)
    assert section.preflight is not None
    assert section.preflight.status is Status.PASSED
    count = len(deployed.part.rounded)
    assert deployed.part.operators["AscendDequant"] == count
    assert not {"QuantizeLinear", "DequantizeLinear"} & set(deployed.part.operators)
    model = onnx.load(deployed.path)
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for name, rounded in deployed.part.rounded.items():
        (conv,) = (node for node in model.graph.node if name in node.input)
        (quant,) = (node for node in model.graph.node if conv.input[0] in node.output)
        (dequant,) = (node for node in model.graph.node if conv.output[0] in node.input)
        given = {item.name: helper.get_attribute_value(item) for item in quant.attribute}
        assert given["scale"] == np.float32(1) / np.float32(rounded.inputs.scale)
        assert (given["offset"], given["dst_type"]) == (rounded.inputs.zero, b"INT8")
        assert (tensors[name].dtype, tensors[conv.input[2]].dtype) == (np.int8, np.int32)
        factors = tensors[dequant.input[1]]
        assert factors.dtype == np.uint64
        assert not (factors >> np.uint64(32)).any()
        scales = deployed.weights.packed.read(f"{name}/scales").reshape(-1)  # type: ignore[attr-defined]
        assert np.array_equal(factors.astype(np.uint32).view(np.float32), np.float32(rounded.inputs.scale) * scales)


def test_its_integers_are_looked_at(deployed: Deployed) -> None:
    cases = [deployed.run.fed(deployed.part.signature.inputs)]
    found = integers_of(deployed.path, deployed.weights, cases, "ascend-pairs")
    assert found.status is Status.PASSED, found.words
    assert found.products == len(deployed.part.rounded)


def changed(model: onnx.ModelProto, end: str, change: Callable[[Array], Array]) -> None:
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name.endswith(end))
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), tensor.name))


def attribute(model: onnx.ModelProto, op: str, name: str, change: Callable[[Any], Any]) -> None:
    node = next(node for node in model.graph.node if node.op_type == op)
    given = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    del node.attribute[:]
    node.attribute.extend(helper.make_attribute(*item) for item in {**given, name: change(given.get(name))}.items())


def the_neighbours_scale(model: onnx.ModelProto) -> None:
    """Each channel has the scale of the next one."""
    changed(model, "/deq_scale", lambda array: np.roll(array, 1))


def the_neighbours_bias(model: onnx.ModelProto) -> None:
    """Each channel has the bias of the next one."""
    changed(model, next(iter(biases(model))), lambda array: np.roll(array, 1))


def biases(model: onnx.ModelProto) -> list[str]:
    return [one.name for one in model.graph.initializer if one.data_type == onnx.TensorProto.INT32 and len(one.dims)]


def offset_off_by_one(model: onnx.ModelProto) -> None:
    """All codes are moved by one step."""
    attribute(model, "AscendQuant", "offset", lambda value: value + 1 if value < 127 else value - 1)


def another_scale(model: onnx.ModelProto) -> None:
    """What values are rounded to is half a percent narrower."""
    attribute(model, "AscendQuant", "scale", lambda value: value * 1.005)


def weights_of_the_neighbour(model: onnx.ModelProto) -> None:
    """Each output has the weights of the next one."""
    kernel = next(one.name for one in model.graph.initializer if one.data_type == onnx.TensorProto.INT8)
    changed(model, kernel, lambda array: np.roll(array, 1, axis=0))


@pytest.mark.parametrize(
    "fault",
    [the_neighbours_scale, the_neighbours_bias, offset_off_by_one, another_scale, weights_of_the_neighbour],
)
def test_a_planted_fault_fails(fault: Callable[[onnx.ModelProto], None], deployed: Deployed, tmp_path: Path) -> None:
    broken = onnx.load(deployed.path)
    fault(broken)
    onnx.save(broken, tmp_path / "broken.onnx")
    assert deployed.failures(tmp_path / "broken.onnx")


def high_bits(model: onnx.ModelProto) -> None:
    changed(model, "/deq_scale", lambda array: array | np.uint64(1 << 40))


def float_scales(model: onnx.ModelProto) -> None:
    changed(model, "/deq_scale", lambda array: array.astype(np.uint32).view(np.float32))


def half_offset(model: onnx.ModelProto) -> None:
    attribute(model, "AscendQuant", "offset", lambda _: 200.0)


def with_relu(model: onnx.ModelProto) -> None:
    attribute(model, "AscendDequant", "relu_flag", lambda _: 1)


def float_bias(model: onnx.ModelProto) -> None:
    changed(model, biases(model)[0], lambda array: array.astype(np.float32))


@pytest.mark.parametrize(
    ("fault", "words", "rule"),
    [
        (high_bits, "a high half of 0", "A40"),
        (float_scales, "expected uint64", "A39"),
        (half_offset, "from -128 to 127", "A40"),
        (with_relu, "expected relu_flag 0", ""),
        (float_bias, "expected int32", "A40"),
    ],
)
def test_what_is_not_understood_is_refused_and_checked(
    fault: Callable[[onnx.ModelProto], None], words: str, rule: str, deployed: Deployed, tmp_path: Path
) -> None:
    broken = onnx.load(deployed.path)
    fault(broken)
    onnx.save(broken, tmp_path / "broken.onnx")
    with pytest.raises(RunnerError, match=words):
        with_pairs(tmp_path / "broken.onnx")
    found = {finding.rule for finding in check(tmp_path / "broken.onnx", Conditions(target="ascend")).findings}
    assert not rule or rule in found
