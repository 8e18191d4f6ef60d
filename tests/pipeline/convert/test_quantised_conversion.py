"""``--quantize`` on the whole road: small files, a tight verdict that a planted fault fails, a statement of cost."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from judged_again import LLAMA, VQGAN, Made, reopened_run
from onnx import numpy_helper

import lwmport
from lwmport.errors import UsageError
from lwmport.models.families import resolve
from lwmport.models.options import Options
from lwmport.models.storage import schemes_of, written_bytes
from lwmport.pipeline.validate.judge import judge
from lwmport.pipeline.validate.request import ValidateRequest
from lwmport.pipeline.validate.rounded_products import AGREES, judge_products
from lwmport.pipeline.validate.run import validate
from lwmport.pipeline.validate.storage_cost import SLOW
from lwmport.types import Array, Status

ROUNDED = Options(quantize="w4a16", symmetric=False)
RECIPE = '{"*/w2/*": {"group_size": 64, "kind": "w8a16", "symmetric": false}, "*/wq/*": {"method": "mse"}}'
TIED = {"tie_word_embeddings": True}
JUDGED: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "some are kept": (
        "llama", "ort", {}, {"quantize": "w4a16", "group_size": 64, "keep": ("*/w?/*=float16", "lm_head/*=float32")}
    ),
    "a table that is multiplied too": ("llama", "ort", TIED, {"quantize": "w8a16", "symmetric": False}),
    "standard operators": ("llama", "onnx", {}, {"quantize": "w8a16"}),
    "standard operators, zero points": ("llama", "openvino", TIED, {"quantize": "w4a16", "symmetric": False}),
    "by a recipe": ("llama", "ort", {}, {"quantize": "w4a16", "recipe": (RECIPE,)}),
    "convolutions": ("vqgan-decoder", "ort", {}, {"quantize": "w8a16"}),
}  # fmt: skip
"""Name -> component, dialect, changes of the configuration, options."""


def request(component: str, dialect: str, out: Path, options: Options, **changes: Any) -> lwmport.Request:
    config = {**(LLAMA if component == "llama" else VQGAN), **changes.pop("fields", {})}
    given = {"config": config, "dialect": dialect, "options": options, **changes}
    return lwmport.Request(component=component, format="onnx", out=out, **given)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("quantised") / "out"
    outcome = lwmport.convert(request("llama", "ort", folder, ROUNDED))
    return Made(folder=folder, outcome=outcome, run=reopened_run(folder, "llama"))


@pytest.mark.parametrize("case", JUDGED)
def test_every_output_agrees_with_the_reference_of_rounded_weights(case: str, tmp_path: Path) -> None:
    component, dialect, fields, chosen = JUDGED[case]
    options = Options(**chosen)
    outcome = lwmport.convert(request(component, dialect, tmp_path / "out", options, fields=fields))
    assert outcome.status is Status.PASSED, outcome.report.sentence
    (section,), (part,) = outcome.report.components, outcome.manifest.components
    assert f"weights rounded to {options.quantize}" in section.validation.reference
    assert sum(note.startswith("Cost of storage, ") for note in section.notes) == len(section.signature.outputs)
    slow = (options.quantize, component, dialect) == ("w8a16", "llama", "ort")
    assert (SLOW in section.notes) == slow
    (made,) = resolve(component, {**(LLAMA if component == "llama" else VQGAN), **fields}, options).components
    whole, schemes = sum(found["bytes"] for found in part.details["stored"].values()), schemes_of(made, options)
    table = "transformer/wte/embedding"
    # In standard operators a table that is multiplied too lies there as uint8 and as uint4, its scales once.
    twice = schemes[table].bits * made.weights[table].nbytes // 32 if fields and dialect != "ort" else 0
    assert whole == pytest.approx(written_bytes(made, options) + twice, rel=0.03)


def test_the_same_reference_judges_again(model: Made) -> None:
    again = validate(ValidateRequest(artifact=model.folder))
    (section,), (first,) = again.report.components, model.outcome.report.components
    assert again.status is Status.PASSED
    assert section.validation.diffs == first.validation.diffs
    assert section.notes == first.notes
    assert model.outcome.manifest.options == {"quantize": "w4a16", "symmetric": False}
    (component,) = resolve("llama", LLAMA).components
    assert model.outcome.plan.write_bytes < 0.2 * sum(spec.nbytes for spec in component.weights.values())


def swapped_halves(name: str, array: Array) -> Array:
    """Swap the two codes of every byte."""
    return (array >> 4 | array << 4) if name.endswith("wq/kernel") else array


def the_neighbours_scale(name: str, array: Array) -> Array:
    """Give each group the scale of the next one."""
    return np.roll(array, 1, axis=-1) if name.endswith("wq/kernel/scales") else array


def zero_points_off_by_one(name: str, array: Array) -> Array:
    """Add one to a zero point of each byte."""
    return array + np.uint8(1) if name.endswith("wq/kernel/zero_points") else array


def wrong_order_of_groups(name: str, array: Array) -> Array:
    """Exchange the first two groups of a table's rows, and leave their scales."""
    if not name.endswith("embedding"):
        return array
    groups = array.reshape(len(array), -1, 16)
    return groups[:, [1, 0, *range(2, groups.shape[1])]].reshape(array.shape)


def other_scale_of_one_channel(name: str, array: Array) -> Array:
    """Make the scales of one output channel in 16 one percent too large."""
    if name.endswith("w2/kernel/scales"):
        array = array.copy()
        array[::16] *= np.float32(1.01)
    return array


FAULTS = [
    swapped_halves,
    the_neighbours_scale,
    zero_points_off_by_one,
    wrong_order_of_groups,
    other_scale_of_one_channel,
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_fails(fault: Callable[[str, Array], Array], model: Made, tmp_path: Path) -> None:
    broken = onnx.load(model.path)
    changed = 0
    for tensor in broken.graph.initializer:
        before = numpy_helper.to_array(tensor)
        after = fault(tensor.name, before)
        if not np.array_equal(before, after):
            changed += 1
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(after), tensor.name))
    assert changed == 1
    onnx.save(broken, tmp_path / "broken.onnx")
    assert model.judged(tmp_path / "broken.onnx") is Status.FAILED
    assert model.judged(model.path) is Status.PASSED


def test_another_group_fails(model: Made, tmp_path: Path) -> None:
    lwmport.convert(request("llama", "ort", tmp_path, replace(ROUNDED, group_size=64), validate=False))
    assert model.judged(tmp_path / "llama.onnx") is Status.FAILED


def test_a_small_fault_in_a_model_that_rounds_its_products_fails_too(tmp_path: Path) -> None:
    """It is well within the tolerance of such products; with products in float32 it is not."""
    options = Options(quantize="w4a8")
    outcome = lwmport.convert(request("llama", "ort", tmp_path / "out", options))
    assert outcome.status is Status.PASSED, outcome.report.sentence
    (section,), path = outcome.report.components, tmp_path / "out" / "llama.onnx"
    assert AGREES in section.notes
    broken = onnx.load(path)
    for tensor in broken.graph.initializer:
        if tensor.name.endswith("w2/kernel/scales"):
            array = other_scale_of_one_channel(tensor.name, numpy_helper.to_array(tensor))
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    onnx.save(broken, tmp_path / "broken.onnx")
    run = reopened_run(tmp_path / "out", "llama")
    (part,) = outcome.manifest.components
    wide = judge(tmp_path / "broken.onnx", part.signature, run, "a8")
    assert wide.validation.status is Status.PASSED
    both = judge_products(wide, tmp_path / "broken.onnx", part.signature, run, "a8", lambda _: None)
    assert both.validation.status is Status.FAILED
    assert both.validation.reason.startswith("with products in float32: ")


def test_other_formats_and_opsets_are_refused_in_one_line(tmp_path: Path) -> None:
    for changes, expected in [
        (
            {"format": "tflite", "dialect": None},
            r"out of ort, onnx, .*'litert' \(litert takes w8a16, w8a8, w4a8\)",
        ),
        ({"opset": 17}, "--quantize w4a16 at opset 21 or later, found opset 17 for llama in the dialect 'onnx'"),
    ]:
        given = {"component": "llama", "format": "onnx", "dialect": "onnx", "config": LLAMA, **changes}
        with pytest.raises(UsageError, match=expected):
            lwmport.convert(lwmport.Request(out=tmp_path / "out", options=Options(quantize="w4a16"), **given))
