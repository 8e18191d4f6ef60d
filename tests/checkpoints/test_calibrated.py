"""A matrix whose rounding somebody knows: every promise of it is of that rounding, whatever part is read."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lwmport.checkpoints.calibrated import Rounding, Roundings
from lwmport.checkpoints.layers import lazy_tensor
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.errors import CheckpointError
from lwmport.models.schemes import INTEGERS
from lwmport.quantise.rounding import Grid
from lwmport.types import WeightSpec

SCHEME = replace(INTEGERS["w4a16"], method="gptq", symmetric=False)
SHAPE = (72, 7)
NAME = "a/kernel"


class Known:
    """Knows roundings that are kept in a folder."""

    def __init__(self, folder: Path) -> None:
        self.kept = Roundings(folder)

    def rounding(self, name: str) -> Rounding:
        found = self.kept.find(name)
        assert found is not None
        return found


def test_codes_scales_and_values_are_those_that_are_kept(tmp_path: Path) -> None:
    random, known = np.random.default_rng(0), Known(tmp_path)
    codes = random.integers(0, 16, SHAPE).astype(np.uint8)
    grid = Grid(random.standard_normal((3, 7)).astype(np.float32), random.integers(0, 16, (3, 7)).astype(np.uint8))
    known.kept.put(NAME, codes, grid, 4)
    seeded = SeededWeights({NAME: WeightSpec(shape=SHAPE, dtype="float32")}, 1)
    weights = StoredWeights(seeded, SCHEME, {NAME: SCHEME}, rounder=known)
    wide = Grid(*(np.repeat(part, 32, axis=0)[:72] for part in grid))
    values = (codes.astype(np.float32) - wide.zeros) * wide.scales
    assert np.array_equal(weights.read(NAME), values)
    assert np.array_equal(lazy_tensor(weights, NAME).rows(30, 70), values[30:70])
    assert np.array_equal(weights.packed.read(NAME), codes)
    assert np.array_equal(weights.packed.read(f"{NAME}/scales"), grid.scales)
    assert np.array_equal(weights.packed.read(f"{NAME}/zero_points"), grid.zeros)
    assert weights.packed.read(f"{NAME}/blocks").shape == (7, 3, 16)
    before = known.kept.digest([NAME])
    known.kept.put("other", codes, grid, 4)
    assert known.kept.digest([NAME]) == before != known.kept.digest(["other"])


def test_without_a_run_of_the_model_there_is_none(tmp_path: Path) -> None:
    assert Roundings(tmp_path).find(NAME) is None
    seeded = SeededWeights({NAME: WeightSpec(shape=SHAPE, dtype="float32")}, 1)
    weights = StoredWeights(seeded, SCHEME, {NAME: SCHEME})
    with pytest.raises(
        CheckpointError, match="a/kernel: expected a rounding by gptq, which runs the model, found none"
    ):
        weights.read(NAME)
