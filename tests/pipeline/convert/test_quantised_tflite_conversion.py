"""``--quantize`` to TFLite on the whole road: small files, two verdicts, of which planted faults fail the tight one."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from judged_again import LLAMA as SMALL
from judged_again import VQGAN, Made, reopened_run

import lwmport
from lwmport.errors import UsageError
from lwmport.models.options import Options
from lwmport.models.storage import schemes_of, written_bytes
from lwmport.pipeline.reopen import reopen
from lwmport.pipeline.validate.judge import judge
from lwmport.pipeline.validate.rounded_products import AGREES, judge_products
from lwmport.runtime.runners.litert_float_products import open_with_float_products
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array, Status

schema = pytest.importorskip("ai_edge_litert.schema_py_generated")

LLAMA = {**SMALL, "max_sequence_length": 32}
MATRIX, KERNEL = "transformer/h/0/feed_forward/w2/kernel", "decoder/Conv_1/kernel"


class Lite(Made):
    """A converted component that has two verdicts."""

    def judged_twice(self, path: Path) -> tuple[Status, Status]:
        """Return the verdict on a file as it is, and that which counts."""
        wide = judge(path, self.part.signature, self.run, "a8")
        both = judge_products(wide, path, self.part.signature, self.run, "a8", lambda _: None)
        return wide.validation.status, both.validation.status

    def judged_apart(self, path: Path) -> Status:
        """Return the tight verdict on a file, whatever the other one says."""
        context = RunnerContext(threads=1, signature=self.part.signature)
        opener = lambda path, _: open_with_float_products(path, context)  # noqa: E731 - as the judge calls it
        return judge(path, self.part.signature, self.run, "float32", opener=opener).validation.status


def converted(component: str, out: Path, *, validate: bool = True, **chosen: Any) -> Lite:
    config = LLAMA if component.startswith("llama") else VQGAN
    request = lwmport.Request(
        component=component,
        format="tflite",
        config=config,
        options=Options(**chosen),
        out=out / component,
        validate=validate,
    )
    outcome = lwmport.convert(request)
    return Lite(folder=out / component, outcome=outcome, run=reopened_run(out / component, component))


def broken(made: Lite, fault: Callable[["File"], None], out: Path) -> Path:
    """Return a copy of a file with a fault in it."""
    file = File(made.path)
    fault(file)
    path = out / made.path.name
    assert file.data != made.path.read_bytes()
    path.write_bytes(file.data)
    return path


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Lite:
    return converted("llama-decode", tmp_path_factory.mktemp("blocks"), quantize="w4a8")


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> Lite:
    return converted("vqgan-decoder", tmp_path_factory.mktemp("channels"), quantize="w8a8")


def test_both_verdicts_pass_and_what_it_costs_is_said(blocks: Lite, channels: Lite) -> None:
    for made, scheme in ((blocks, "w4a8 (groups of 32, "), (channels, "w8a8 (a scale for each output, ")):
        outcome = made.outcome
        assert outcome.status is Status.PASSED, outcome.report.sentence
        (section,), (part,) = outcome.report.components, outcome.manifest.components
        assert f"weights rounded to {scheme}symmetric, rtn)" in section.validation.reference
        assert AGREES in section.notes
        assert sum(note.startswith("Cost of storage, ") for note in section.notes) == len(section.signature.outputs)
        family = reopen(made.folder).family
        schemes = schemes_of(family.components[0], family.options)
        values = sum(math.prod(family.components[0].weights[name].shape) for name in schemes)
        bits = next(iter(schemes.values())).bits
        assert part.details["stored"][f"int{bits}"] == {"tensors": len(schemes), "bytes": values * bits // 8}
        assert outcome.manifest.options == {"quantize": scheme[:4], "rounding": "tflite", "static": True}


def test_the_plan_counts_what_is_written(blocks: Lite) -> None:
    family, (part,) = reopen(blocks.folder).family, blocks.outcome.manifest.components
    stored = sum(found["bytes"] for found in part.details["stored"].values())
    assert stored == pytest.approx(written_bytes(family.components[0], family.options), rel=0.01)


class File:
    """A TFLite file in memory, whose constants can be changed where they lie."""

    def __init__(self, path: Path) -> None:
        self.data = bytearray(path.read_bytes())
        self._model = schema.Model.GetRootAs(self.data, 0)
        graph = self._model.Subgraphs(0)
        self._tensors = {(one := graph.Tensors(place)).Name().decode(): one for place in range(graph.TensorsLength())}

    def codes(self, name: str) -> Array:
        """Return the bytes of a constant."""
        buffer = self._model.Buffers(self._tensors[name].Buffer())
        if buffer.Offset() > 1:
            return np.frombuffer(self.data, np.uint8, buffer.Size(), buffer.Offset())
        found: Array = buffer.DataAsNumpy()
        return found

    def channel_scales(self, name: str) -> Array:
        """Return the scales of a constant that has one for each channel."""
        found: Array = self._tensors[name].Quantization().ScaleAsNumpy()
        return found

    def set_block(self, name: str, size: int) -> None:
        """Change the number of values that share a scale."""
        details = schema.BlockwiseQuantization()
        table = self._tensors[name].Quantization().Details()
        details.Init(table.Bytes, table.Pos)
        place = details._tab.Pos + details._tab.Offset(8)
        self.data[place : place + 4] = size.to_bytes(4, "little")
        assert details.BlockSize() == size


def swapped_halves(file: File) -> None:
    """Swap the two codes of every byte."""
    codes = file.codes(MATRIX)
    codes[:] = codes >> 4 | codes << 4


def the_neighbours_scale(file: File) -> None:
    """Give each block the scale of the next one."""
    scales = file.codes(f"{MATRIX}/scales").view(np.float16)
    scales[:] = np.roll(scales, 1)


def other_order_of_blocks(file: File) -> None:
    """Exchange the first two blocks of every row, and leave their scales."""
    codes = file.codes(MATRIX).reshape(LLAMA["hidden_size"], -1, 16)
    codes[:, :2] = codes[:, 1::-1].copy()


@pytest.mark.parametrize("fault", [swapped_halves, the_neighbours_scale, other_order_of_blocks])
def test_a_planted_fault_fails(fault: Callable[[File], None], blocks: Lite, tmp_path: Path) -> None:
    assert blocks.judged_apart(broken(blocks, fault, tmp_path)) is Status.FAILED
    assert blocks.judged_apart(blocks.path) is Status.PASSED


def other_scale_of_one_output(file: File) -> None:
    """Make the scales of one output in 16 two percent too large."""
    scales = file.codes(f"{MATRIX}/scales").view(np.float16).reshape(LLAMA["hidden_size"], -1)
    scales[::16] *= np.float16(1.02)


def other_scale_of_one_channel(file: File) -> None:
    """Make the scale of one of three channels two percent too large."""
    file.channel_scales(KERNEL)[1] *= np.float32(1.02)


@pytest.mark.parametrize("fault", [other_scale_of_one_output, other_scale_of_one_channel])
def test_a_small_fault_passes_the_wide_verdict_and_fails_the_tight_one(
    fault: Callable[[File], None], blocks: Lite, channels: Lite, tmp_path: Path
) -> None:
    made = blocks if fault is other_scale_of_one_output else channels
    assert made.judged_twice(broken(made, fault, tmp_path)) == (Status.PASSED, Status.FAILED)


def test_another_group_fails(blocks: Lite, tmp_path: Path) -> None:
    other = converted("llama-decode", tmp_path, validate=False, quantize="w4a8", group_size=64)
    assert blocks.judged_apart(other.path) is Status.FAILED


def test_a_block_size_that_its_scales_do_not_fit_is_not_passed(blocks: Lite, tmp_path: Path) -> None:
    path = broken(blocks, lambda file: file.set_block(MATRIX, 64), tmp_path)
    assert blocks.judged_twice(path)[1] is not Status.PASSED


def test_a_run_leaves_the_same_bytes_again(blocks: Lite, tmp_path: Path) -> None:
    again = converted("llama-decode", tmp_path, validate=False, quantize="w4a8")
    assert again.path.read_bytes() == blocks.path.read_bytes()


REFUSED = {
    "no kernel of 4 bits without rounded products": ({"quantize": "w4a16"}, r"\(litert takes w8a16, w8a8, w4a8\)"),
    "a group of 16": ({"quantize": "w4a8", "group_size": 16}, "--group-size out of 32, 64, 128, 256 in the dialect"),
    "a group of 8 bits": ({"quantize": "w8a8", "group_size": 32}, "no --group-size where each output has a scale"),
    "zero points": ({"quantize": "w4a8", "symmetric": False}, "--symmetric weights, .*, found --asymmetric"),
    "hqq": ({"quantize": "w4a8", "method": "hqq"}, "--method out of rtn, mse in the dialect 'litert', found --method"),
    "pictures of 4 bits": ({"quantize": "w4a8"}, "found none among the weights of vqgan-decoder"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_its_kernels_do_not_take_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    chosen, expected = REFUSED[case]
    component, config = ("vqgan-decoder", VQGAN) if "pictures" in case else ("llama-decode", LLAMA)
    given = {"component": component, "format": "tflite", "config": config, "out": tmp_path / "out"}
    with pytest.raises(UsageError, match=expected) as found:
        lwmport.convert(lwmport.Request(options=Options(**chosen), **given))
    assert "\n" not in str(found.value)
    assert not (tmp_path / "out").exists()
