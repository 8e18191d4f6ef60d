"""Faults for converted models: each kind has places in some model, its seed finds it again, and an output changes."""

import importlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from lwmport import manifest
from lwmport.models.options import Options
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.runtime.registry import open_runner
from lwmport.types import Array

ENCODER, DECODER, PICTURES = "vqgan-encoder.onnx", "vqgan-decoder.onnx", "vqgan-decoder.tflite"
BLOCK, TOKENS = "llama-block-decode.onnx", "llama-block-decode.tflite"
VISION = "minigpt4-vision.onnx"
UPSAMPLING, LENGTHS = "vqgan-decoder.onnx for ONNX Runtime", "llama-block.onnx of any length"
CONVERSIONS: Mapping[str, Mapping[str, Any]] = {
    ENCODER: {"format": "onnx"},
    DECODER: {"format": "onnx", "dialect": "ascend"},
    PICTURES: {"format": "tflite"},
    BLOCK: {"format": "onnx", "dialect": "ascend", "options": Options(max_length=16)},
    TOKENS: {"format": "tflite", "options": Options(max_length=16)},
    UPSAMPLING: {"format": "onnx"},
    LENGTHS: {"format": "onnx", "dialect": "onnx"},
    VISION: {"format": "onnx"},
}
SEED = 3
POSITION = 1030
"""In the second block of the tables of angles, so that it counts which one."""
RARE = {UPSAMPLING, LENGTHS, VISION}
"""What is looked at for the kinds that have a place nowhere else."""
EVERYWHERE = set(CONVERSIONS) - RARE
SIZES = {"sequence": 4, "past": 3, "past + sequence": 7}
HAVE = {
    "kernel-transposed": EVERYWHERE,
    "bias-missing": {ENCODER, DECODER, PICTURES},
    "bias-doubled": {ENCODER, DECODER, PICTURES},
    "bias-halved": {ENCODER, DECODER, PICTURES},
    "gain-left-at-one": {ENCODER, DECODER, BLOCK, TOKENS},
    "weights-clipped": EVERYWHERE,
    "weights-of-another-seed": EVERYWHERE,
    "weights-of-another-layer": EVERYWHERE,
    "weights-exchanged": EVERYWHERE,
    "weights-noisy": EVERYWHERE,
    "weights-scaled": EVERYWHERE,
    "weights-zeroed": EVERYWHERE,
    "weights-rounded": EVERYWHERE,
    "table-rounded": {BLOCK, TOKENS},
    "table-shifted": EVERYWHERE,
    "query-key-permuted": {BLOCK, TOKENS},
    "epsilon-larger": EVERYWHERE,
    "epsilon-doubled": EVERYWHERE,
    "scale-changed": {ENCODER, BLOCK, TOKENS},
    "divisor-less-one": {BLOCK},
    "bounds-halved": {DECODER},
    "mask-overflow": {BLOCK, TOKENS},
    "mask-too-small": {BLOCK, TOKENS},
    "resize-rounded": {DECODER},
    "padding-moved": {ENCODER, DECODER},
    "dilated": {ENCODER, DECODER, PICTURES},
    "axis-changed": {PICTURES, BLOCK, TOKENS},
    "groups-changed": {DECODER, PICTURES},
    "rotary-halves": {BLOCK, TOKENS},
    "operands-swapped": {ENCODER, PICTURES, BLOCK, TOKENS},
    "operator-replaced": EVERYWHERE,
    "input-rewired": EVERYWHERE,
    "outputs-exchanged": EVERYWHERE,
    "input-rounded": EVERYWHERE,
    "perm-changed": {ENCODER, DECODER},
    "concat-reversed": {PICTURES, BLOCK},
    "slice-moved": {BLOCK, TOKENS},
    "attention-changed": {TOKENS},
    "gelu-by-tanh": {VISION},
    "activation-fused": {PICTURES, TOKENS},
    "depth-order-changed": {UPSAMPLING},
    "comparison-changed": {LENGTHS},
    "operand-repeated": EVERYWHERE,
    "operator-skipped": EVERYWHERE,
    "integer-off-by-one": {BLOCK, TOKENS},
    "sign-flipped": EVERYWHERE - {DECODER},
    "variance-unbiased": {ENCODER, DECODER},
    "weight-damaged": EVERYWHERE,
    "computed-in-half": {ENCODER, DECODER, BLOCK},
}
QUIET = {"input-rounded", "activation-fused", "integer-off-by-one", "weight-damaged"}
"""Kinds whose fault may be too small for any output to show it."""


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """One converted model for each name."""
    found = {}
    for number, (name, fields) in enumerate(CONVERSIONS.items()):
        out = tmp_path_factory.mktemp("clean") / str(number)
        component = name.partition(".")[0]
        convert(ConvertRequest(component=component, config="debug", validate=False, out=out, **fields))
        found[name] = out / name.partition(" ")[0]
    return found


def planted(clean: Path, folder: Path, kind: str, seed: int) -> tuple[Any, Path]:
    shutil.copytree(clean.parent, folder)
    model = folder / clean.name
    return importlib.import_module("faults").plant(model, kind, seed), model


def inputs_of(model: Path) -> dict[str, Array]:
    (entry,) = manifest.read(model.parent).components
    random, found = np.random.default_rng(0), {}
    for spec in entry.signature.inputs:
        shape = [SIZES[size] if isinstance(size, str) else size for size in spec.shape]
        floating = np.issubdtype(np.dtype(spec.dtype), np.floating)
        whole = POSITION if spec.name == "position_ids" else 5
        values = random.standard_normal(shape) if floating else np.full(shape, whole)
        found[spec.name] = values.astype(spec.dtype)
        if spec.name == "attention_mask":
            found[spec.name] = (np.arange(shape[-1]) % 8 < 6).astype(spec.dtype)[None]
    return found


def outputs_of(model: Path) -> dict[str, Array]:
    return dict(open_runner(model).run(inputs_of(model)))


def test_every_kind_is_planted_below() -> None:
    assert set(HAVE) == set(importlib.import_module("faults").KINDS)


@pytest.mark.parametrize("kind", sorted(HAVE))
def test_a_planted_model_loads_and_gives_something_else(
    kind: str, clean: Mapping[str, Path], tmp_path: Path, outputs: dict[str, Mapping[str, Array]]
) -> None:
    changed = []
    for name in sorted(EVERYWHERE | HAVE[kind]):
        original = clean[name]
        found, model = planted(original, tmp_path / name.replace(" ", "-"), kind, SEED)
        assert (found is not None) == (name in HAVE[kind]), name
        if found is None:
            assert model.read_bytes() == original.read_bytes()
            continue
        assert found.kind == kind
        assert found.node in found.nodes
        before, after = outputs.setdefault(name, outputs_of(original)), outputs_of(model)
        changed.append(any(not np.array_equal(before[key], after[key]) for key in before))
    assert all(changed) or (kind in QUIET and any(changed))


@pytest.fixture(scope="module")
def outputs() -> dict[str, Mapping[str, Array]]:
    """What clean models give, as far as it was asked for."""
    return {}


def test_a_seed_gives_the_same_fault_again_and_another_seed_another(clean: Mapping[str, Path], tmp_path: Path) -> None:
    first, one = planted(clean[ENCODER], tmp_path / "a", "weights-noisy", 1)
    again, other = planted(clean[ENCODER], tmp_path / "b", "weights-noisy", 1)
    assert first == again
    assert one.read_bytes() == other.read_bytes()
    assert len({planted(clean[ENCODER], tmp_path / str(n), "weights-noisy", n)[0].node for n in range(6)}) > 1


@pytest.mark.parametrize("name", [ENCODER, PICTURES])
def test_untouched_tensors_are_what_they_were(name: str, clean: Mapping[str, Path], tmp_path: Path) -> None:
    found, model = planted(clean[name], tmp_path / "planted", "kernel-transposed", 0)
    draft_of = importlib.import_module("faults.planting").DRAFTS[model.suffix]
    before, after = draft_of(clean[name]), draft_of(model)
    for one, other in zip(before.operators, after.operators, strict=True):
        assert one.name == other.name
        for slot in before.slots(one):
            same = np.array_equal(before.constant(one, slot), after.constant(other, slot))
            assert same == ((one.name, slot) != (found.node, 1)), (one.name, slot)


def outside(model: Path) -> set[str]:
    """Return the tensors whose values lie in the data file."""
    tensors = onnx.load(model, load_external_data=False).graph.initializer
    return {tensor.name for tensor in tensors if tensor.external_data}


def test_an_onnx_models_data_file_stays_as_it_is(clean: Mapping[str, Path], tmp_path: Path) -> None:
    _, model = planted(clean[ENCODER], tmp_path / "planted", "weights-zeroed", 0)
    data = f"{model.name}.data"
    assert (model.parent / data).read_bytes() == (clean[ENCODER].parent / data).read_bytes()
    before, after = (outside(path) for path in (clean[ENCODER], model))
    assert len(before - after) == 1
    assert after < before


def test_a_fault_in_a_function_names_every_node_that_calls_it(clean: Mapping[str, Path]) -> None:
    draft = importlib.import_module("faults.onnx_draft").OnnxDraft(clean[ENCODER])
    inner = next(operator for operator in draft.operators if operator.type == "LayerNormalization")
    calls = [operator.name for operator in draft.operators if operator.written == "lwmport::GroupNorm32"]
    assert list(inner.enclosing) == calls
    assert not inner.nested
