"""Processes that make blocks give the bytes that this one makes, and end with the block that has them."""

import subprocess
from typing import Any

import numpy as np
import pytest

from lwmport.checkpoints import block_workers as subject
from lwmport.checkpoints.ggml_blocks import GgmlBlocks
from lwmport.checkpoints.lazy.tensors import Lazy
from lwmport.errors import CheckpointError
from lwmport.quantise.ggml.blocks import AT_ONCE
from lwmport.types import Array, WeightSpec


class Rows(Lazy):
    def __init__(self, values: Array) -> None:
        super().__init__(WeightSpec(shape=values.shape, dtype="float32"))
        self._values = values

    def rows(self, begin: int, end: int) -> Array:
        return self._values[begin:end]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Take every tensor for large, and one processor for all; return the processes that are started."""
    found: list[Any] = []

    def popen(*arguments: Any, real: Any = subprocess.Popen, **options: Any) -> Any:
        found.append(real(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(subject, "LEAST_VALUES", 1)
    monkeypatch.setattr(subject, "processors", lambda: 1)
    return found


def test_bytes_are_the_same_and_no_process_stays(started: list[Any]) -> None:
    values = np.random.default_rng(0).standard_normal((AT_ONCE // 2 + 1, 512)).astype(np.float32)
    rows = {"Q4_K": len(values), "Q6_K": 5, "Q8_0": 5}
    tensors = [GgmlBlocks(Rows(values[:count]), kind, "w") for kind, count in rows.items()]
    expected = [np.concatenate(list(tensor.pieces())) for tensor in tensors]
    assert not started
    with subject.block_workers():
        for tensor, own in zip(tensors, expected, strict=True):
            np.testing.assert_array_equal(np.concatenate(list(tensor.pieces())), own)
        values[0, 0] = np.nan
        with pytest.raises(CheckpointError, match="w: expected finite values"):
            list(tensors[0].pieces())
        assert len(started) == 1
    assert started[0].poll() is not None
    assert subject.workers_for("Q4_K", 1) is None


def test_small_tensors_and_simple_kinds_need_none() -> None:
    with subject.block_workers():
        assert subject.workers_for("Q4_K", subject.LEAST_VALUES - 1) is None
        assert subject.workers_for("Q8_0", subject.LEAST_VALUES) is None
        assert subject.workers_for("Q6_K", subject.LEAST_VALUES) is not None
