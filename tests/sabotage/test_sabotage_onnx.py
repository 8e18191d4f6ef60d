"""ONNX models broken on purpose: each must fail the validation, and the untouched ones must pass.

One table holds every sabotage: which half it breaks, on which weights, and how.
"""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from command_line import lwmport
from onnx import helper, numpy_helper

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.checkpoints.writers.write import write_checkpoint
from lwmport.manifest import ComponentEntry
from lwmport.models.families import Family, resolve
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.pipeline.validate.judge import judge
from lwmport.pipeline.validate.reference_runs import ReferenceRun, gather
from lwmport.types import Array, Status, Validation

ENCODER, DECODER = "vqgan-encoder", "vqgan-decoder"
PLAIN, FAINT = "plain", "faint"
CHECKPOINT = "weights.pkl"
BATCH = 2

Model = onnx.ModelProto
Damage = Callable[[Model], None]


class Faint:
    """Seeded weights whose first convolutions are 1/1000: their activations have a variance of epsilon's size.

    With unit variance epsilon 1e-5 for 1e-6 changes no code and no pixel by more than 6e-5, at full size too, which
    is inside the tolerance: no comparison of outputs can tell it from another order of summing. With these it can.
    """

    def __init__(self, weights: SeededWeights) -> None:
        self._weights = weights
        self.specs, self.source = weights.specs, weights.source

    def read(self, name: str) -> Array:
        array = self._weights.read(name)
        first = name.startswith(("encoder/Conv_0", "decoder/Conv_0"))
        return array * np.float32(1e-3) if first else array


@dataclass(frozen=True, kw_only=True)
class Original:
    """One half, converted by the real pipeline, and the evidence that it is judged by."""

    path: Path
    entry: ComponentEntry
    evidence: ReferenceRun

    def judged(self, path: Path) -> Validation:
        return judge(path, self.entry.signature, self.evidence).validation


Originals = Mapping[tuple[str, str], Original]
"""By component and kind of weights."""


@pytest.fixture(scope="module")
def family() -> Family:
    return resolve("vqgan", "debug")


@pytest.fixture(scope="module")
def originals(family: Family, tmp_path_factory: pytest.TempPathFactory) -> Originals:
    found = {}
    seeded = SeededWeights(family.weights, 0)
    for kind, weights in ((PLAIN, seeded), (FAINT, Faint(seeded))):
        folder = tmp_path_factory.mktemp(kind)
        checkpoint = folder / CHECKPOINT
        write_checkpoint(weights, checkpoint, "pickle", lambda *_: None)
        request = ConvertRequest(
            component="vqgan",
            format="onnx",
            dialect="onnx",
            config="debug",
            batch=BATCH,
            checkpoint=str(checkpoint),
            out=folder / "out",
            validate=False,
        )
        made = convert(request).manifest
        for component, entry in zip(family.components, made.components, strict=True):
            evidence = gather(component, weights, BATCH)
            found[entry.name, kind] = Original(path=folder / "out" / entry.path, entry=entry, evidence=evidence)
    return found


def node(model: Model, operator: str, number: int = 0) -> onnx.NodeProto:
    return [item for item in model.graph.node if item.op_type == operator][number]


def attribute(item: onnx.NodeProto, name: str) -> onnx.AttributeProto:
    return next(found for found in item.attribute if found.name == name)


def change(model: Model, name: str, function: Callable[[Array], Array]) -> None:
    """Replace a constant by a function of it."""
    tensor = next(item for item in model.graph.initializer if item.name == name)
    array = function(numpy_helper.to_array(tensor).copy())
    tensor.CopyFrom(numpy_helper.from_array(array, name))


def behind(model: Model, name: str, operator: str, *inputs: Array, **attributes: Any) -> None:
    """Let an output pass through one operator more."""
    inner = f"{name}/inner"
    for item in model.graph.node:
        item.output[:] = [inner if found == name else found for found in item.output]
        item.input[:] = [inner if found == name else found for found in item.input]
    names = [f"{name}/extra_{i}" for i in range(len(inputs))]
    model.graph.initializer.extend(numpy_helper.from_array(*pair) for pair in zip(inputs, names, strict=True))
    arguments = [names[0], inner] if operator == "Gather" and len(inputs) == 2 else [inner, *names]
    model.graph.node.append(helper.make_node(operator, arguments, [name], **attributes))


def output(model: Model, name: str) -> onnx.ValueInfoProto:
    return next(item for item in model.graph.output if item.name == name)


def dropped_bias(model: Model) -> None:
    del node(model, "Conv", 3).input[2]


def dropped_last_bias(model: Model) -> None:
    del node(model, "Conv", -1).input[2]


def dropped_shift_of_a_norm(model: Model) -> None:
    change(model, node(model, "GroupNormalization", 1).input[2], np.zeros_like)


def transposed_kernel(model: Model) -> None:
    change(model, node(model, "Conv", 2).input[1], lambda kernel: kernel.transpose(0, 1, 3, 2))


def flipped_kernel(model: Model) -> None:
    change(model, node(model, "Conv", 2).input[1], lambda kernel: kernel[:, :, ::-1])


def swapped_inputs_and_outputs_of_a_kernel(model: Model) -> None:
    change(model, node(model, "Conv", 2).input[1], lambda kernel: kernel.transpose(1, 0, 2, 3))


def coarse_epsilon(model: Model) -> None:
    for item in model.graph.node:
        if item.op_type == "GroupNormalization":
            attribute(item, "epsilon").f = 1e-5


def fewer_groups(model: Model) -> None:
    attribute(node(model, "GroupNormalization"), "num_groups").i = 16


def bilinear(model: Model) -> None:
    attribute(node(model, "Resize"), "mode").s = b"linear"


def bilinear_half_pixel(model: Model) -> None:
    bilinear(model)
    attribute(node(model, "Resize"), "coordinate_transformation_mode").s = b"half_pixel"


def padding_on_the_other_side(model: Model) -> None:
    (pads,) = (p for n in model.graph.node if n.op_type == "Conv" and (p := attribute(n, "pads")).ints == [0, 0, 1, 1])
    pads.ints[:] = [1, 1, 0, 0]


def padding_moved(model: Model) -> None:
    attribute(node(model, "Conv", 1), "pads").ints[:] = [2, 1, 0, 1]


def nan_in_a_weight(model: Model) -> None:
    def put(kernel: Array) -> Array:
        kernel.flat[7] = np.nan
        return kernel

    change(model, node(model, "Conv", 1).input[1], put)


def infinite_bias(model: Model) -> None:
    change(model, node(model, "Conv", -1).input[2], lambda bias: np.float32([np.inf, *bias[1:]]))


def renamed(old: str, new: str) -> Damage:
    def damage(model: Model) -> None:
        for item in model.graph.node:
            item.output[:] = [new if name == old else name for name in item.output]
            item.input[:] = [new if name == old else name for name in item.input]
        output(model, old).name = new

    return damage


def missing(name: str) -> Damage:
    return lambda model: model.graph.output.remove(output(model, name))


def swapped_names(model: Model) -> None:
    first, second = model.graph.output
    renamed(first.name, "for a moment")(model)
    renamed(second.name, "codebook_indices")(model)
    renamed("for a moment", "quantized_states")(model)


def another_dtype(name: str, dtype: int) -> Damage:
    def damage(model: Model) -> None:
        behind(model, name, "Cast", to=dtype)
        output(model, name).type.tensor_type.elem_type = dtype

    return damage


def extra_output(model: Model) -> None:
    model.graph.node.append(helper.make_node("Identity", ["pixel_values"], ["pixels"]))
    model.graph.output.append(helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, None))


def one_more(model: Model) -> None:
    behind(model, "codebook_indices", "Add", np.int32(1))


def one_code_more(model: Model) -> None:
    """Add one to the last of all indices."""
    last = np.zeros((BATCH, 16, 16), np.int32)
    last[-1, -1, -1] = 1
    behind(model, "codebook_indices", "Add", last)


def other_item_first(name: str) -> Damage:
    return lambda model: behind(model, name, "Gather", np.asarray([1, 0]), axis=0)


def rows_for_columns(model: Model) -> None:
    behind(model, "pixel_values", "Transpose", perm=[0, 2, 1, 3])


def blue_for_red(model: Model) -> None:
    behind(model, "pixel_values", "Gather", np.asarray([2, 1, 0]), axis=3)


def codebook_rows_swapped(model: Model) -> None:
    """Swap the first two rows of every copy of the codebook."""
    for tensor in list(model.graph.initializer):
        if tensor.name.startswith("quantize/embeddings") and 64 in tensor.dims and len(tensor.dims) == 2:
            axis = list(tensor.dims).index(64)
            change(model, tensor.name, lambda table, axis=axis: np.take(table, [1, 0, *range(2, 64)], axis=axis))


def unclipped(model: Model) -> None:
    clip = node(model, "Clip")
    clip.input[1:] = []


def one_kernel_a_little_off(model: Model) -> None:
    change(model, node(model, "Conv", 4).input[1], lambda kernel: kernel * np.float32(1.01))


def forgotten_shortcut(model: Model) -> None:
    add = node(model, "Add")
    add.input[1] = add.input[0]


def unknown_operator(model: Model) -> None:
    node(model, "Conv", 1).op_type = "Convolution"


FLOAT16, DOUBLE, INT64 = onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.INT64

CODES, STATES, PIXELS = "codebook_indices", "quantized_states", "pixel_values"
DIFFER, OUT, NAN = r"integers differ", r"out of tolerance", r"\d NaN in the candidate"

SABOTAGES: dict[str, tuple[str, str, Damage, str]] = {
    "a dropped bias": (ENCODER, PLAIN, dropped_bias, DIFFER),
    "a dropped bias in the decoder": (DECODER, PLAIN, dropped_bias, OUT),
    "the last bias dropped": (DECODER, PLAIN, dropped_last_bias, OUT),
    "a norm without its shift": (ENCODER, PLAIN, dropped_shift_of_a_norm, DIFFER),
    "a transposed kernel": (ENCODER, PLAIN, transposed_kernel, DIFFER),
    "a transposed kernel in the decoder": (DECODER, PLAIN, transposed_kernel, OUT),
    "a flipped kernel": (DECODER, PLAIN, flipped_kernel, OUT),
    "a kernel with inputs for outputs": (DECODER, PLAIN, swapped_inputs_and_outputs_of_a_kernel, OUT),
    "epsilon 1e-5 for 1e-6": (ENCODER, FAINT, coarse_epsilon, DIFFER),
    "epsilon 1e-5 for 1e-6 in the decoder": (DECODER, FAINT, coarse_epsilon, OUT),
    "fewer groups": (ENCODER, PLAIN, fewer_groups, DIFFER),
    "fewer groups in the decoder": (DECODER, PLAIN, fewer_groups, OUT),
    "bilinear for nearest": (DECODER, PLAIN, bilinear, OUT),
    "bilinear from the middle of pixels": (DECODER, PLAIN, bilinear_half_pixel, OUT),
    "padding on the other side": (ENCODER, PLAIN, padding_on_the_other_side, DIFFER),
    "padding moved by a row": (ENCODER, PLAIN, padding_moved, DIFFER),
    "padding moved by a row in the decoder": (DECODER, PLAIN, padding_moved, OUT),
    "NaN in a weight": (ENCODER, PLAIN, nan_in_a_weight, f"{DIFFER}.*{NAN}"),
    "NaN in a weight of the decoder": (DECODER, PLAIN, nan_in_a_weight, NAN),
    "an infinite bias": (DECODER, PLAIN, infinite_bias, OUT),
    "a weight one percent off": (DECODER, PLAIN, one_kernel_a_little_off, OUT),
    "a renamed output": (
        ENCODER,
        PLAIN,
        renamed(CODES, "codebook_index"),
        f"{CODES}: missing.*codebook_index: unexpected",
    ),
    "a renamed output of the decoder": (DECODER, PLAIN, renamed(PIXELS, "pixels"), f"{PIXELS}: missing"),
    "outputs under each other's names": (ENCODER, PLAIN, swapped_names, f"{CODES}: dtype.*{STATES}: dtype"),
    "a missing output": (ENCODER, PLAIN, missing(CODES), f"{CODES}: missing"),
    "missing states": (ENCODER, PLAIN, missing(STATES), f"{STATES}: missing"),
    "an output too many": (DECODER, PLAIN, extra_output, "pixels: unexpected"),
    "wider integers": (ENCODER, PLAIN, another_dtype(CODES, INT64), "dtype: expected int32, the candidate has int64"),
    "narrower pixels": (DECODER, PLAIN, another_dtype(PIXELS, FLOAT16), "dtype: expected float32"),
    "wider pixels": (DECODER, PLAIN, another_dtype(PIXELS, DOUBLE), "dtype: expected float32"),
    "every index shifted by one": (ENCODER, PLAIN, one_more, "1,024 of 1,024 integers differ"),
    "one index shifted by one": (ENCODER, PLAIN, one_code_more, "2 of 1,024 integers differ"),
    "codes of the other picture": (ENCODER, PLAIN, other_item_first(CODES), f"{CODES}: .*{DIFFER}$"),
    "states of the other picture": (ENCODER, PLAIN, other_item_first(STATES), f"^{STATES}: .*{OUT}"),
    "pixels of the other picture": (DECODER, PLAIN, other_item_first(PIXELS), OUT),
    "rows for columns": (DECODER, PLAIN, rows_for_columns, OUT),
    "blue for red": (DECODER, PLAIN, blue_for_red, OUT),
    "two rows of the codebook swapped": (ENCODER, PLAIN, codebook_rows_swapped, DIFFER),
    "two rows of the decoder's codebook swapped": (DECODER, PLAIN, codebook_rows_swapped, OUT),
    "pixels not clipped": (DECODER, PLAIN, unclipped, OUT),
    "a shortcut forgotten": (ENCODER, PLAIN, forgotten_shortcut, DIFFER),
    "a model that does not run": (DECODER, PLAIN, unknown_operator, "ONNX Runtime refused .*"),
}
"""What is broken -> which half, on which weights, how, and what the verdict must say of it."""


@pytest.mark.parametrize("component", [ENCODER, DECODER])
@pytest.mark.parametrize("kind", [PLAIN, FAINT])
def test_the_untouched_model_passes(component: str, kind: str, originals: Originals, tmp_path: Path) -> None:
    original = originals[component, kind]
    copy = tmp_path / original.path.name
    onnx.save(onnx.load(original.path), copy)
    for path in (original.path, copy):
        validation = original.judged(path)
        assert validation.status is Status.PASSED, validation.reason


@pytest.mark.parametrize("name", SABOTAGES)
def test_a_broken_model_fails(name: str, originals: Originals, tmp_path: Path) -> None:
    component, kind, damage, why = SABOTAGES[name]
    original = originals[component, kind]
    model = onnx.load(original.path)
    whole = model.SerializeToString(deterministic=True)
    damage(model)
    assert model.SerializeToString(deterministic=True) != whole
    path = tmp_path / original.path.name
    onnx.save(model, path)
    validation = original.judged(path)
    unjudged = damage is unknown_operator  # there are no numbers to judge
    assert validation.status is (Status.NOT_JUDGED if unjudged else Status.FAILED)
    assert re.search(why, validation.reason), validation.reason


def test_a_wrong_epsilon_shows_in_the_decoder_on_plain_weights_too(originals: Originals, tmp_path: Path) -> None:
    original = originals[DECODER, PLAIN]
    model = onnx.load(original.path)
    coarse_epsilon(model)
    onnx.save(model, tmp_path / original.path.name)
    validation = original.judged(tmp_path / original.path.name)
    assert validation.status is Status.FAILED
    assert "the error is systematic" in validation.reason


def test_a_wrong_epsilon_is_out_of_sight_in_the_encoder_on_plain_weights(originals: Originals, tmp_path: Path) -> None:
    """Keep the reason for `Faint` true: the encoder's outputs are codes, which a small error does not change."""
    original = originals[ENCODER, PLAIN]
    model = onnx.load(original.path)
    coarse_epsilon(model)
    onnx.save(model, tmp_path / original.path.name)
    assert original.judged(tmp_path / original.path.name).status is Status.PASSED


def test_the_command_exits_with_1_and_says_which_half_is_broken(originals: Originals, tmp_path: Path) -> None:
    out = originals[DECODER, PLAIN].path.parent
    folder = Path(shutil.copytree(out, tmp_path / "out"))
    model = onnx.load(folder / f"{DECODER}.onnx")
    bilinear(model)
    onnx.save(model, folder / f"{DECODER}.onnx")
    done = lwmport("validate", folder, "--json", "--checkpoint", out.with_name(CHECKPOINT))
    found = {item["component"]: item["status"] for item in json.loads(done.stdout)["validations"]}
    assert (done.returncode, found) == (1, {ENCODER: "passed", DECODER: "failed"})
