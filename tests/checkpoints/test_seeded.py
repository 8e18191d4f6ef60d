"""Seeded weights: the same everywhere, and of a size that keeps signals alive."""

import hashlib
import math

import numpy as np
import pytest

from lwmport.checkpoints import seeded
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.errors import CheckpointError
from lwmport.types import WeightSpec, dtype_of

SPECS = {
    "Conv_0/kernel": WeightSpec(shape=(3, 3, 64, 32), dtype="float32"),
    "Conv_0/bias": WeightSpec(shape=(9000,), dtype="float32"),
    "GroupNorm_0/scale": WeightSpec(shape=(9000,), dtype="float32"),
    "quantizer/embeddings": WeightSpec(shape=(100, 90), dtype="float32"),
    "attention_norm/kernel": WeightSpec(shape=(9000,), dtype="float32"),
    "h/scan_decoder/wq/kernel": WeightSpec(shape=(4, 64, 64), dtype="float32"),
    "h/scan_decoder/attention_norm/kernel": WeightSpec(shape=(4, 3000), dtype="float32"),
    "half/kernel": WeightSpec(shape=(64, 64), dtype="bfloat16"),
    "other": WeightSpec(shape=(9000,), dtype="float32"),
}
EXPECTED = {
    "Conv_0/kernel": (0, 1 / math.sqrt(3 * 3 * 64)),
    "Conv_0/bias": (0, 0.1),
    "GroupNorm_0/scale": (1, 0.1),
    "quantizer/embeddings": (0, 0.5),
    "attention_norm/kernel": (1, 0.1),
    "h/scan_decoder/wq/kernel": (0, 1 / 8),
    "h/scan_decoder/attention_norm/kernel": (1, 0.1),
    "half/kernel": (0, 1 / 8),
    "other": (0, 0.1),
}


@pytest.mark.parametrize("name", SPECS)
def test_centre_and_deviation_follow_the_name(name: str) -> None:
    array = SeededWeights(SPECS, 0).read(name)
    assert (array.shape, array.dtype) == (SPECS[name].shape, dtype_of(SPECS[name].dtype))
    assert not array.flags.writeable
    values, (centre, deviation) = array.astype(np.float64), EXPECTED[name]
    assert abs(values.mean() - centre) < 5 * deviation / math.sqrt(array.size)
    assert values.std() == pytest.approx(deviation, rel=0.05)


def test_the_bytes_are_pinned() -> None:
    """Made of integers: another machine or another numpy must not change them. If the rules change, so must RULES."""
    weights = SeededWeights(SPECS, 3)
    found = hashlib.sha256(b"".join(weights.read(name).tobytes() for name in SPECS)).hexdigest()
    assert found == "e7b11d795d9b6aeff31c412437271dd9fc9505798f93bc5c5286199103e77062"
    assert weights.digest() == "1219b78511e8d2a6b9edd56432a32bf6b2297a3386d79a582ebb56e027628c61"


def test_a_value_by_hand() -> None:
    """One value computed without numpy's arithmetic, from the words that Philox promises."""
    key = int.from_bytes(hashlib.sha256(b"3:other").digest()[:16], "little")
    words = [int(word) for word in np.random.Philox(key=key).random_raw(3)]
    parts = [sum(word >> shift & 0xFFFF for shift in (0, 16, 32, 48)) - 2 * 0xFFFF for word in words]
    expected = [0.1 * part * math.sqrt(3 / (2**32 - 1)) for part in parts]
    np.testing.assert_allclose(SeededWeights(SPECS, 3).read("other")[:3], expected, rtol=1e-6, atol=0)


def test_order_and_neighbours_do_not_matter() -> None:
    alone = SeededWeights({"other": SPECS["other"]}, 3).read("other")
    weights = SeededWeights(dict(reversed(SPECS.items())), 3)
    weights.read("Conv_0/bias")
    assert np.array_equal(weights.read("other"), alone)


def test_pieces_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = SeededWeights(SPECS, 3).read("other")
    monkeypatch.setattr(seeded, "PIECE", 1000)
    assert np.array_equal(SeededWeights(SPECS, 3).read("other"), whole)


def test_seed_and_name_matter() -> None:
    first, second = SeededWeights(SPECS, 3), SeededWeights(SPECS, 4)
    assert first.digest() != second.digest()
    assert np.abs(np.corrcoef(first.read("other"), second.read("other"))[0, 1]) < 0.1
    assert np.abs(np.corrcoef(first.read("other"), first.read("Conv_0/bias"))[0, 1]) < 0.1


def test_source_says_that_nothing_was_trained() -> None:
    assert SeededWeights(SPECS, 3).source == {
        "kind": "seeded",
        "description": "seeded random weights (seed 3), not trained",
        "seed": 3,
    }


def test_integers_and_unknown_names_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"found ids \(int32\)"):
        SeededWeights({"ids": WeightSpec(shape=(2,), dtype="int32")}, 0)
    with pytest.raises(CheckpointError, match="found 'no'"):
        SeededWeights(SPECS, 0).read("no")


def test_any_range_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = SeededWeights(SPECS, 3)
    whole = weights.read("other")
    for begin, end in ((0, 1), (1, 9000), (7, 7), (4, 8999), (8999, 9000)):
        assert np.array_equal(weights.lazy("other").flat(begin, end), whole[begin:end])
    monkeypatch.setattr(seeded, "AHEAD", 777)
    pieces = list(weights.pieces("other"))
    assert len(pieces) == 12
    assert np.array_equal(np.concatenate(pieces), whole)
