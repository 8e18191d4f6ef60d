"""``--quantize w8a8`` of convolutions: what is written, what it costs on trained weights, and faults that are found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from judged_again import VQGAN, Made
from onnx import numpy_helper

import lwmport
from lwmport.errors import RunnerError, UnusedOptionError
from lwmport.models.options import Options
from lwmport.pipeline.convert.calibration import levels_of
from lwmport.pipeline.reopen import reopen
from lwmport.pipeline.validate.convolutions_alone import compare_alone, expected_alone
from lwmport.pipeline.validate.reference_runs import gather
from lwmport.pipeline.validate.test_inputs import Sampling
from lwmport.types import Array, Levels, Status

TRAINED = str(Path(__file__).parents[2] / "data" / "trained_vqgan" / "vqgan.safetensors")
LAST = "decoder/MidBlock_0/ResnetBlock_1/Conv_1/kernel"


@dataclass(frozen=True, kw_only=True)
class Model(Made):
    """The trained VQGAN on small pictures, and what the reference of its decoder expects of each convolution."""

    expected: Mapping[str, Array]

    def failures(self, path: Path) -> list[str]:
        diffs, _ = compare_alone(path, self.part.signature, self.run, self.expected)
        return [diff.name for diff in diffs if diff.status is not Status.PASSED]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("int8") / "out"
    options = Options(quantize="w8a8", settings=("resolution=32",))
    outcome = lwmport.convert(
        lwmport.Request(component="vqgan", format="onnx", checkpoint=TRAINED, options=options, out=folder)
    )
    found = reopen(folder, TRAINED)
    weights = found.component_weights("vqgan-decoder")
    run = gather(found.component("vqgan-decoder"), weights, 1, sampling=Sampling(count=1))
    expected = expected_alone(run, weights, outcome.manifest.components[1].signature)
    return Model(folder=folder, outcome=outcome, run=run, expected=expected)


def test_trained_weights_lose_little(model: Model) -> None:
    encoder, decoder = model.outcome.report.components
    assert model.outcome.status is Status.PASSED, model.outcome.report.sentence
    (pictures,) = (one.pictures for one in decoder.accuracy)
    assert min(pictures.psnr_db) >= 35
    codes = next(one.codes for one in encoder.accuracy if one.codes)
    assert codes.agreeing / codes.codes >= 0.97
    for section, count in ((encoder, 3), (decoder, 15)):
        assert any(note.startswith(f"{count} convolutions compute with integers.") for note in section.notes)
    assert "photographs: rocket, galaxies, retina" in str(model.outcome.manifest.choices)


def test_a_folder_that_is_opened_again_rounds_in_the_same_way(model: Model) -> None:
    assert model.run.component.rounded == model.outcome.manifest.components[1].rounded
    assert model.failures(model.path) == []


def the_neighbours_scale(name: str, array: Array) -> Array:
    """Give each channel the scale of the next one."""
    return np.roll(array, 1) if name == f"{LAST}/scales" else array


def scale_of_one_channel(name: str, array: Array) -> Array:
    """Make one scale of 64 two percent larger."""
    return array * np.where(np.arange(array.size) == 0, np.float32(1.02), 1) if name == f"{LAST}/scales" else array


def the_neighbours_bias(name: str, array: Array) -> Array:
    """Give each channel the bias of the next one."""
    return np.roll(array, 1) if name == LAST.replace("kernel", "bias") else array


def zero_point_off_by_one(name: str, array: Array) -> Array:
    """Move all numbers that values are rounded to by one step."""
    return array + np.uint8(1) if name == "zero_point_3" else array


def another_scale(name: str, array: Array) -> Array:
    """Make what values are rounded to half a percent wider."""
    return array * np.float32(1.005) if name == "scale_3" else array


@pytest.mark.parametrize(
    "fault",
    [the_neighbours_scale, scale_of_one_channel, the_neighbours_bias, zero_point_off_by_one, another_scale],
)
def test_a_planted_fault_fails(fault: Callable[[str, Array], Array], model: Model, tmp_path: Path) -> None:
    broken, changed = onnx.load(model.path), 0
    for tensor in broken.graph.initializer:
        before = numpy_helper.to_array(tensor)
        after = np.asarray(fault(tensor.name, before), before.dtype)
        if not np.array_equal(before, after):
            changed += 1
            tensor.CopyFrom(numpy_helper.from_array(after, tensor.name))
    assert changed == 1
    onnx.save(broken, tmp_path / "broken.onnx")
    assert model.failures(tmp_path / "broken.onnx")


def test_swapped_scales_of_what_is_rounded_fail(model: Model, tmp_path: Path) -> None:
    broken = onnx.load(model.path)
    for node in broken.graph.node:
        names = {"scale_3": "scale_5", "scale_5": "scale_3"}
        node.input[:] = [names.get(name, name) for name in node.input]
    onnx.save(broken, tmp_path / "broken.onnx")
    assert model.failures(tmp_path / "broken.onnx")


def test_a_convolution_that_does_not_round_fails(model: Model, tmp_path: Path) -> None:
    broken = onnx.load(model.path)
    quantize = next(node for node in broken.graph.node if node.op_type == "QuantizeLinear")
    restore = next(node for node in broken.graph.node if node.input[0] == quantize.output[0])
    for node in broken.graph.node:
        node.input[:] = [quantize.input[0] if name == restore.output[0] else name for name in node.input]
    onnx.save(broken, tmp_path / "broken.onnx")
    with pytest.raises(RunnerError, match="behind or between QuantizeLinear and DequantizeLinear, found none"):
        model.failures(tmp_path / "broken.onnx")


def test_standard_operators_have_signed_codes_and_what_is_kept_is_not_rounded(tmp_path: Path) -> None:
    options = Options(quantize="w8a8", method="mse", keep=("decoder/Conv_?/kernel=float32",))
    outcome = lwmport.convert(
        lwmport.Request(
            component="vqgan-decoder",
            format="onnx",
            dialect="onnx",
            opset=17,
            config=VQGAN,
            options=options,
            out=tmp_path,
        )
    )
    (part,) = outcome.manifest.components
    assert len(part.rounded) < part.operators["QuantizeLinear"] <= 2 * len(part.rounded)  # some read the same values
    assert part.operators["Conv"] == len(part.rounded) + 3  # the first, the last, and what reads the codebook's rows
    assert not any(kernel.startswith("decoder/Conv_") for kernel in part.rounded)
    codes = {tensor.data_type for tensor in onnx.load(tmp_path / part.path).graph.initializer}
    assert onnx.TensorProto.INT8 in codes
    assert onnx.TensorProto.UINT8 not in codes


def test_sums_that_are_not_rounded_are_held_to_float32(tmp_path: Path) -> None:
    options = Options(quantize="w8a8", keep=("decoder/[!M]*/kernel=float32", "*ResnetBlock_0*=float32"))
    request = lwmport.Request(
        component="vqgan-decoder",
        format="onnx",
        dialect="ascend",
        config=VQGAN,
        options=options,
        out=tmp_path,
        validate=False,
    )
    (part,) = lwmport.convert(request).manifest.components
    assert part.rounded
    assert all(own.outputs is None for own in part.rounded.values())
    found, path = reopen(tmp_path), tmp_path / part.path
    weights = found.component_weights("vqgan-decoder")
    run = gather(found.component("vqgan-decoder"), weights, 1, sampling=Sampling(count=1))
    expected = expected_alone(run, weights, part.signature)
    diffs, words = compare_alone(path, part.signature, run, expected)
    assert {diff.status for diff in diffs} == {Status.PASSED}
    assert words.startswith(f"{len(part.rounded)} convolutions compute with integers. Each was run alone")
    broken = onnx.load(path)
    for tensor in broken.graph.initializer:
        if tensor.name == "zero_point":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + np.int8(1), tensor.name))
    onnx.save(broken, tmp_path / "broken.onnx")
    diffs, _ = compare_alone(tmp_path / "broken.onnx", part.signature, run, expected)
    assert any(diff.status is not Status.PASSED for diff in diffs)


def test_products_that_round_are_refused_where_no_operator_does_that(tmp_path: Path) -> None:
    request = lwmport.Request(
        component="llama-head",
        format="onnx",
        dialect="onnx",
        config="debug",
        options=Options(quantize="w8a8"),
        out=tmp_path / "out",
    )
    with pytest.raises(UnusedOptionError, match=r"convolutions alone for --quantize w8a8 in the dialect 'onnx', found"):
        lwmport.convert(request)


def test_levels_hold_zero_and_both_ends() -> None:
    assert levels_of(-1.0, 1.55) == Levels(scale=float(np.float32(0.01)), zero=-28)
    assert levels_of(0.5, 2.55).zero == -128
    assert levels_of(0.0, 0.0) == Levels(scale=1.0, zero=-128)
