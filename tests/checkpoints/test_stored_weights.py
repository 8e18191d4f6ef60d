"""Stored weights: what is written and what is computed with are one rounding of the exact values."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lwmport.checkpoints.layers import lazy_tensor
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.checkpoints.stored_weights import StoredWeights, packed_of, reference_name
from lwmport.checkpoints.streaming import PIECE, pieces_of
from lwmport.errors import CheckpointError
from lwmport.models.schemes import SCHEMES
from lwmport.types import WeightSpec

FLOAT16 = SCHEMES["float16"]
ARRAYS = {
    "a/bias": np.linspace(0, 1, 7, dtype=np.float32),
    "a/kernel": np.linspace(-1, 1, 40 * 7, dtype=np.float32).reshape(40, 7),
}


def test_the_reconstructed_values_are_the_stored_ones(weights_of: Callable[..., Any]) -> None:
    stored = StoredWeights(weights_of(ARRAYS), FLOAT16, {"a/kernel": FLOAT16})
    kernel = ARRAYS["a/kernel"].astype(np.float16)
    assert stored.specs == {name: WeightSpec(shape=array.shape, dtype="float32") for name, array in ARRAYS.items()}
    assert dict(stored.packed.specs) == {"a/kernel": WeightSpec(shape=(40, 7), dtype="float16")}
    assert stored.packed.read("a/kernel").tobytes() == kernel.tobytes()
    assert stored.read("a/kernel").tobytes() == kernel.astype(np.float32).tobytes()
    assert stored.read("a/kernel").tobytes() != ARRAYS["a/kernel"].tobytes()
    assert stored.read("a/bias").tobytes() == ARRAYS["a/bias"].tobytes()
    assert stored.exact.read("a/kernel").tobytes() == ARRAYS["a/kernel"].tobytes()


def test_a_large_tensor_is_packed_in_pieces() -> None:
    name, shape = "a/kernel", (3 * PIECE // 4, 2)
    seeded = SeededWeights({name: WeightSpec(shape=shape, dtype="float32")}, 0)
    stored = StoredWeights(seeded, FLOAT16, {name: FLOAT16})
    pieces = list(pieces_of(stored.packed, name))
    assert max(piece.nbytes for piece in pieces) <= PIECE
    assert np.array_equal(np.concatenate(pieces), seeded.read(name).astype(np.float16).reshape(-1))
    assert np.array_equal(lazy_tensor(stored, name).rows(5, 9), seeded.read(name)[5:9].astype(np.float16))


def test_the_checkpoint_is_still_the_same() -> None:
    seeded = SeededWeights({"a/kernel": WeightSpec(shape=(40, 7), dtype="float32")}, 3)
    stored = StoredWeights(seeded, FLOAT16, {"a/kernel": FLOAT16})
    assert (stored.digest(), stored.source) == (seeded.digest(), seeded.source)


def test_weights_without_a_scheme_store_nothing_else(weights_of: Callable[..., Any]) -> None:
    assert not packed_of(weights_of(ARRAYS)).specs
    assert reference_name("JAX", weights_of(ARRAYS)) == "JAX"
    stored = StoredWeights(weights_of(ARRAYS), FLOAT16, {"a/kernel": FLOAT16})
    assert reference_name("JAX", stored) == "JAX, weights rounded to float16"


def test_a_value_that_does_not_fit_is_named(weights_of: Callable[..., Any]) -> None:
    large = np.full((40, 7), 7e4, np.float32)
    stored = StoredWeights(weights_of({"a/kernel": large}), FLOAT16, {"a/kernel": FLOAT16})
    expected = r"a/kernel: expected values that float16 can hold, found 70000 .* infinite; leave --store out"
    for read in (stored.read, stored.packed.read):
        with pytest.raises(CheckpointError, match=expected):
            read("a/kernel")
