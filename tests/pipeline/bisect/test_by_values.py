"""Faults that are planted in an export of torch.onnx are found at the very operator, and a clean one has none."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from exports import FAULTS, planted, squared_gate

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.models.families import resolve
from lwmport.pipeline.bisect.as_one import as_one
from lwmport.pipeline.bisect.by_values import ValueWalk
from lwmport.pipeline.bisect.explained import first_of, taps_of
from lwmport.pipeline.bisect.places import located
from lwmport.pipeline.bisect.pool import Pool, pool_of
from lwmport.pipeline.bisect.regions import Region
from lwmport.pipeline.validate.test_inputs import TestInputs
from lwmport.runtime.pieces.onnx import open_onnx
from lwmport.runtime.runners.jax import reference
from lwmport.types import Array

CAUSES = {
    "wrong order of axes": "wrong-attribute",
    "other sign": "scaled-weights",
    "half the groups of the last norm": "wrong-attribute",
    "squared gate": "wrong-wiring",
    "exchanged kernels": "stale-weights",
}
"""Fault -> the cause that is told, of some."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """An export, what the reference computes, and its outputs."""

    model: Path
    pool: Pool
    picture: Array
    right: tuple[Array, Array]

    def walk(self, path: Path) -> ValueWalk:
        file = open_onnx(path, 1)
        names = [spec.name for spec in file.outputs]
        outputs = dict(zip(names, self.right, strict=True))
        return ValueWalk(self.pool, file, {file.inputs[0].name: self.picture}, outputs)


@pytest.fixture(scope="module")
def sample(torch_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    family = resolve("vqgan-encoder", str(torch_export.with_name("small.json")))
    (component,), weights = family.components, SeededWeights(family.weights, 0)
    inputs = TestInputs(component, weights).make(1).inputs
    right = reference(component, weights).run(inputs)
    pool = pool_of(component, weights, inputs, tmp_path_factory.mktemp("pool"), lambda *_: None)
    both = right["codebook_indices"], right["quantized_states"]
    return Sample(model=torch_export, pool=pool, picture=inputs["pixel_values"], right=both)


def test_a_clean_export_has_no_place(sample: Sample) -> None:
    walk = sample.walk(sample.model)
    assert located(walk) == []
    taps = taps_of(walk, {})
    assert len(taps) > len(walk.file.operators) / 2
    assert max(tap.own.relative for tap in taps if tap.own is not None) < 1e-5
    assert np.array_equal(walk.known.reached[walk.file.outputs[0].name], sample.right[0])


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_at_its_operator(name: str, sample: Sample, tmp_path: Path) -> None:
    fault, is_proven = FAULTS[name]
    output = planted(sample.model, fault, tmp_path / "planted.onnx")
    walk = sample.walk(tmp_path / "planted.onnx")
    first, *_ = located(walk)
    assert first.output == output
    assert (first.proof is not None) is is_proven
    told = first_of(walk, first)
    assert told.output == output
    assert told.own_inputs.max_abs > 0
    assert told.explanation
    assert told.cause == CAUSES.get(name, told.cause)


def test_a_tensor_times_itself_is_not_told_as_a_square(sample: Sample, tmp_path: Path) -> None:
    planted(sample.model, squared_gate, tmp_path / "planted.onnx")
    walk = sample.walk(tmp_path / "planted.onnx")
    wrong = next(one for _, one in walk.steps() if one is not None)
    told = as_one(Region(walk, wrong))
    assert told is None or told.told.cause == "wrong-wiring"
