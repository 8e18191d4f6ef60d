"""``--dialect int8``: convolutions of TFLite with ranges in the file, what they cost, and faults that are found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from judged_again import LLAMA, VQGAN, Made

import lwmport
from lwmport.errors import RunnerError, UnusedOptionError
from lwmport.models.options import Options
from lwmport.pipeline.reopen import reopen
from lwmport.pipeline.validate import convolutions_alone
from lwmport.pipeline.validate.convolutions_alone import compare_alone, expected_alone
from lwmport.pipeline.validate.reference_runs import ReferenceRun
from lwmport.types import Array, Status

schema = pytest.importorskip("ai_edge_litert.schema_py_generated")

TRAINED = str(Path(__file__).parents[2] / "data" / "trained_vqgan" / "vqgan.safetensors")
DECODER = "vqgan-decoder"
KERNEL = "decoder/MidBlock_0/ResnetBlock_1/Conv_1/kernel"
BIAS = KERNEL.replace("kernel", "bias")


@dataclass(frozen=True, kw_only=True)
class Model(Made):
    """The trained decoder of small pictures, and what the reference expects of each of its convolutions."""

    expected: Mapping[str, Array]

    def failures(self, path: Path) -> list[str]:
        diffs, _ = compare_alone(path, self.part.signature, self.run, self.expected)
        return [diff.name for diff in diffs if diff.status is not Status.PASSED]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("int8") / "out"
    options = Options(quantize="w8a8", settings=("resolution=32",))
    request = {"component": DECODER, "format": "tflite", "dialect": "int8", "checkpoint": TRAINED, "out": folder}
    judged: list[tuple[ReferenceRun, Mapping[str, Array]]] = []

    def kept(run: ReferenceRun, *more: Any) -> Mapping[str, Array]:
        judged.append((run, expected_alone(run, *more)))
        return judged[-1][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolutions_alone, "expected_alone", kept)  # what the judge computed is not computed again
        outcome = lwmport.convert(lwmport.Request(options=options, **request))
    ((run, expected),) = judged
    return Model(folder=folder, outcome=outcome, run=run, expected=expected)


def test_trained_weights_lose_little_and_all_convolutions_are_delegated(model: Model) -> None:
    assert model.outcome.status is Status.PASSED, model.outcome.report.sentence
    (section,) = model.outcome.report.components
    (pictures,) = (one.pictures for one in section.accuracy)
    assert min(pictures.psnr_db) >= 35
    assert "Outside LiteRT's delegate: 1 GATHER." in section.notes
    assert any(note.startswith("15 convolutions compute with integers.") for note in section.notes)
    assert model.part.operators["QUANTIZE"] == model.part.operators["DEQUANTIZE"] == len(model.part.rounded) == 15
    assert "photographs: rocket, galaxies, retina" in str(model.outcome.manifest.choices)
    assert reopen(model.folder, TRAINED).component(DECODER).rounded == model.part.rounded
    assert model.failures(model.path) == []


class File:
    """A file in memory, in which what lies around one convolution can be changed."""

    def __init__(self, path: Path) -> None:
        self.data = bytearray(path.read_bytes())
        self._model = schema.Model.GetRootAs(self.data, 0)
        self._graph = self._model.Subgraphs(0)
        operators = (self._graph.Operators(place) for place in range(self._graph.OperatorsLength()))
        self.convolution = next(each for each in operators if self._named(each) == KERNEL)

    def _named(self, operator: Any) -> str:
        return self._graph.Tensors(operator.Inputs(1)).Name().decode() if operator.InputsLength() == 3 else ""

    def scales(self, place: int) -> Array:
        """Return the scales of an input of the convolution, those of its output for -1."""
        found: Array = self._tensor(place).Quantization().ScaleAsNumpy()
        return found

    def zeros(self, place: int) -> Array:
        """Return the zero points in the same way."""
        found: Array = self._tensor(place).Quantization().ZeroPointAsNumpy()
        return found

    def codes(self, place: int) -> Array:
        """Return the bytes of an input of the convolution."""
        found: Array = self._model.Buffers(self._tensor(place).Buffer()).DataAsNumpy()
        return found

    def _tensor(self, place: int) -> Any:
        return self._graph.Tensors(self.convolution.Outputs(0) if place < 0 else self.convolution.Inputs(place))


def the_neighbours_scale(file: File) -> None:
    """Give each channel the scale of the next one, and its bias the step that follows from it."""
    file.scales(1)[:] = np.roll(file.scales(1), 1)
    file.scales(2)[:] = file.scales(0) * file.scales(1)


def scale_of_one_channel(file: File) -> None:
    """Make one scale of 64 two percent larger, and the step of its bias."""
    file.scales(1)[0] *= np.float32(1.02)
    file.scales(2)[:] = file.scales(0) * file.scales(1)


def the_neighbours_bias(file: File) -> None:
    """Give each channel the bias of the next one."""
    codes = file.codes(2).view(np.int32)
    codes[:] = np.roll(codes, 1)


def zero_point_of_inputs(file: File) -> None:
    """Move all numbers that the inputs are rounded to by one step."""
    file.zeros(0)[0] += 1


def zero_point_of_outputs(file: File) -> None:
    """Move all numbers that the outputs are rounded to by one step."""
    file.zeros(-1)[0] += 1


def another_scale(file: File) -> None:
    """Make what the outputs are rounded to half a percent wider."""
    file.scales(-1)[0] *= np.float32(1.005)


FAULTS = (
    the_neighbours_scale,
    scale_of_one_channel,
    the_neighbours_bias,
    zero_point_of_inputs,
    zero_point_of_outputs,
    another_scale,
)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_fails(fault: Callable[[File], None], model: Model, tmp_path: Path) -> None:
    assert model.failures(_broken(fault, model, tmp_path))


def steps_of_the_bias(file: File) -> None:
    """Make the step of one bias one percent larger: LiteRT does not look at it."""
    file.scales(2)[3] *= np.float32(1.01)


def zero_point_of_a_kernel(file: File) -> None:
    """Give one channel of the kernel a zero point."""
    file.zeros(1)[5] = 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (steps_of_the_bias, f"expected a bias in steps of input times kernel beside {KERNEL}, found other scales"),
        (zero_point_of_a_kernel, f"expected zero points of 0 for kernel and bias of {KERNEL}, found others"),
    ],
)
def test_scales_that_contradict_each_other_are_found_though_no_run_tells(
    fault: Callable[[File], None], words: str, model: Model, tmp_path: Path
) -> None:
    with pytest.raises(RunnerError, match=words):
        model.failures(_broken(fault, model, tmp_path))


def _broken(fault: Callable[[File], None], model: Model, out: Path) -> Path:
    file = File(model.path)
    fault(file)
    assert file.data != model.path.read_bytes()
    (out / model.path.name).write_bytes(file.data)
    return out / model.path.name


REFUSED = {
    "products of rows": ({"component": "llama-head", "config": LLAMA}, "convolutions that may round to numbers in"),
    "weights alone": ({"options": Options(quantize="w8a16")}, r"\(int8 takes w8a8\)"),
    "nothing": ({"options": Options()}, "expected --quantize w8a8 with the dialect int8, found --dialect int8 alone"),
    "zero points": ({"options": Options(quantize="w8a8", symmetric=False)}, "--symmetric weights, .*, found --asymm"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_it_does_not_take_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    chosen, words = REFUSED[case]
    usual = {"component": DECODER, "config": VQGAN, "options": Options(quantize="w8a8"), "out": tmp_path / "out"}
    with pytest.raises(UnusedOptionError, match=words) as found:
        lwmport.convert(lwmport.Request(format="tflite", dialect="int8", **{**usual, **chosen}))
    assert "\n" not in str(found.value)
    assert not (tmp_path / "out").exists()
