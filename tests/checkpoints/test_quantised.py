"""A weight as integers: every promise of it is of one rounding, whatever part is read first."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lwmport.checkpoints.layers import lazy_tensor
from lwmport.checkpoints.quantised import QuantisedTensor
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.checkpoints.stored_weights import StoredWeights, reference_name, stored_of
from lwmport.checkpoints.streaming import PIECE, pieces_of
from lwmport.errors import CheckpointError
from lwmport.models.schemes import INTEGERS, TFLITE
from lwmport.quantise.packing import unpacked
from lwmport.quantise.rounding import middle
from lwmport.types import Array, Scheme, WeightSpec

W4 = INTEGERS["w4a16"]
W8 = INTEGERS["w8a16"]
CASES: dict[str, tuple[tuple[int, ...], Scheme]] = {
    "a matrix": ((64, 7), W4),
    "a matrix with a group that is not full": ((72, 7), replace(W4, symmetric=False)),
    "a matrix of 8 bits": ((64, 6), replace(W8, group=16, symmetric=False)),
    "a table": ((9, 64), replace(W4, channel=0)),
    "a table with zero points": ((9, 96), replace(W4, channel=0, symmetric=False)),
    "a kernel": ((3, 3, 8, 5), replace(W8, dtype="int8", group=0)),
}


def stored(shape: tuple[int, ...], scheme: Scheme, seed: int = 1) -> StoredWeights:
    seeded = SeededWeights({"a/kernel": WeightSpec(shape=shape, dtype="float32")}, seed)
    return StoredWeights(seeded, scheme, {"a/kernel": scheme})


def by_hand(weights: StoredWeights, scheme: Scheme) -> Array:
    """Return the values out of codes, scales and zero points, each read on its own, one number at a time."""
    codes = weights.packed.read("a/kernel").astype(np.float64)
    scales = weights.packed.read("a/kernel/scales").astype(np.float64)
    middle = 0 if scheme.dtype == "int8" else 2 ** (scheme.bits - 1)
    zeros = np.full(scales.shape, middle) if scheme.symmetric else weights.packed.read("a/kernel/zero_points")
    made = np.empty(codes.shape, np.float64)
    size = scheme.group or codes.size
    for index in np.ndindex(codes.shape):
        place = (
            (index[0], index[1] // size) if scheme.channel == 0 else (index[0] // size * bool(scheme.group), index[-1])
        )
        made[index] = (codes[index] - zeros[place]) * scales[place]
    return made


@pytest.mark.parametrize("case", CASES)
def test_the_values_are_those_of_the_codes(case: str) -> None:
    shape, scheme = CASES[case]
    weights = stored(shape, scheme)
    values, exact = weights.read("a/kernel"), weights.exact.read("a/kernel")
    assert np.array_equal(values, by_hand(weights, scheme).astype(np.float32))
    assert 0 < np.abs(values - exact).max() < np.abs(exact).max() / (5 if scheme.bits == 4 else 100)
    lazy = lazy_tensor(weights, "a/kernel")
    for begin, end in [(0, 1), (1, shape[0]), (shape[0] - 1, shape[0])]:
        assert np.array_equal(lazy.rows(begin, end), values[begin:end])
        codes = lazy_tensor(weights.packed, "a/kernel")
        assert np.array_equal(codes.rows(begin, end), weights.packed.read("a/kernel")[begin:end])


@pytest.mark.parametrize("case", [case for case, (shape, _) in CASES.items() if len(shape) == 2])
def test_blocks_are_the_codes_of_each_channel(case: str) -> None:
    shape, scheme = CASES[case]
    weights = stored(shape, scheme)
    codes, blocks = weights.packed.read("a/kernel"), weights.packed.read("a/kernel/blocks")
    rows = codes if scheme.channel == 0 else codes.T
    length = rows.shape[1]
    found = unpacked(blocks, scheme.bits, scheme.group).reshape(len(rows), -1)
    assert np.array_equal(found[:, :length], rows)
    assert not found[:, length:].any()


def test_a_large_tensor_is_rounded_in_parts_and_once_for_all_that_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = stored((32 * 6, PIECE // 256), replace(W4, symmetric=False))
    seen: list[int] = []
    plain = QuantisedTensor.rounded

    def counted(tensor: QuantisedTensor, begin: int, end: int) -> Any:
        seen.append(end - begin)
        return plain(tensor, begin, end)

    monkeypatch.setattr(QuantisedTensor, "rounded", counted)
    for name in ("a/kernel/blocks", "a/kernel/scales", "a/kernel/zero_points"):
        assert max(part.nbytes for part in pieces_of(weights.packed, name)) <= PIECE
    assert sum(seen) == 32 * 6
    assert max(seen) * (PIECE // 256) * 4 <= PIECE


def test_no_scale_stands_for_what_is_not_finite(weights_of: Callable[..., Any]) -> None:
    array = np.ones((64, 8), np.float32)
    array[3, 4] = np.nan
    weights = StoredWeights(weights_of({"a/kernel": array}), W4, {"a/kernel": W4})
    for read in (weights.read, weights.packed.read):
        with pytest.raises(CheckpointError, match=r"a/kernel: expected finite numbers, .* --keep a pattern"):
            read("a/kernel")


def test_the_reference_says_how_weights_are_rounded() -> None:
    weights = stored((64, 8), W4)
    assert reference_name("JAX", weights) == "JAX, weights rounded to w4a16 (groups of 32, symmetric, rtn)"
    assert stored_of(weights) == {"a/kernel": W4}
    assert not stored_of(weights.exact)


KERNEL = np.random.default_rng(11).standard_normal((3, 3, 32, 5)).astype(np.float32)
LINES = np.random.default_rng(12).standard_normal((64, 6)).astype(np.float32)
TURNED = {"matrix of blocks": ("w4a8", LINES), "matrix of channels": ("w8a8", LINES), "kernel": ("w8a8", KERNEL)}


@pytest.mark.parametrize("case", TURNED)
def test_what_is_turned_has_its_outputs_in_front(case: str, weights_of: Callable[..., Any]) -> None:
    name, array = TURNED[case]
    scheme = TFLITE[name]
    weights = StoredWeights(weights_of({"a/kernel": array}), scheme, {"a/kernel": scheme})
    rows = np.moveaxis(array, -1, 0).reshape(array.shape[-1], -1)
    grouped = rows.reshape(len(rows), -1, scheme.group or rows.shape[1])
    scales = weights.packed.read("a/kernel/scales").astype(np.float32)
    codes = unpacked(weights.packed.read("a/kernel/blocks"), scheme.bits, grouped.shape[2]).astype(int)
    codes -= middle(scheme.bits)
    assert np.array_equal(codes, np.rint(grouped / scales[..., None]))
    made = (codes * scales[..., None]).astype(np.float32).reshape(len(rows), *array.shape[:-1])
    assert np.array_equal(weights.read("a/kernel"), np.moveaxis(made, 0, -1))
    assert set(weights.packed.specs) == {"a/kernel", "a/kernel/blocks", "a/kernel/scales"}
