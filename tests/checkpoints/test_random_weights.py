"""A file of random weights is recognised by its values alone, and no other is."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.random_weights import recognised
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.types import Array, WeightSpec

SHAPES = {"a/kernel": (6, 8), "a/bias": (8,), "norm/scale": (16,), "step/scale": (1,)}
SPECS = {name: WeightSpec(shape=shape, dtype="float32") for name, shape in SHAPES.items()}


def made(seed: int) -> dict[str, Array]:
    weights = SeededWeights(SPECS, seed)
    return {name: weights.read(name).copy() for name in SPECS}


def written(path: Path, arrays: dict[str, Array]) -> Path:
    save_file(arrays, path / "it.safetensors")
    return path / "it.safetensors"


@pytest.mark.parametrize("seed", [0, 9_999])
@pytest.mark.parametrize("through", ["float32", "float16"])
def test_random_weights_are_recognised(seed: int, through: str, tmp_path: Path) -> None:
    arrays = {name: array.astype(through).astype(np.float32) for name, array in made(seed).items()}
    found = recognised(open_checkpoint(written(tmp_path, arrays)), SPECS, {})
    assert found is not None
    assert (found.seed, found.tensors, found.looked_at) == (seed, 3, 3)
    assert found.words == f"random weights (seed {seed}), not trained"


def test_a_large_seed_has_to_be_told(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(written(tmp_path, made(123_456)))
    assert recognised(checkpoint, SPECS, {}) is None
    found = recognised(checkpoint, SPECS, {}, [123_456])
    assert found is not None
    assert found.whole


def test_other_weights_are_not_random(tmp_path: Path) -> None:
    arrays = {name: np.ones(shape, np.float32) for name, shape in SHAPES.items()}
    arrays["step/scale"] = made(3)["step/scale"]  # one value alone, which proves nothing
    assert recognised(open_checkpoint(written(tmp_path, arrays)), SPECS, {}, [3]) is None


def test_weights_that_are_random_in_part_are_told_so(tmp_path: Path) -> None:
    arrays = {**made(3), "a/kernel": np.ones((6, 8), np.float32)}
    found = recognised(open_checkpoint(written(tmp_path, arrays)), SPECS, {})
    assert found is not None
    assert found.words == "2 of 3 tensors random (seed 3), not trained"
