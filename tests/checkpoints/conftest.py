"""Weights in memory, and files made of bytes, for every test of the checkpoints."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.types import Array, WeightSpec


class InMemory:
    """Weights (`lwmport.types.Weights`) that are simply there."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self.arrays = dict(arrays)
        self.specs = {name: WeightSpec(shape=a.shape, dtype=a.dtype.name) for name, a in self.arrays.items()}
        self.source: dict[str, Any] = {"kind": "test", "description": "a test's arrays"}

    def read(self, name: str) -> Array:
        return self.arrays[name]


@pytest.fixture
def in_memory() -> Callable[[Mapping[str, Array]], InMemory]:
    return InMemory


@pytest.fixture
def arrays() -> dict[str, Array]:
    """One of each shape that layouts treat differently: matrix, vector, no axes, no elements, two bytes wide."""
    rng = np.random.default_rng(7)
    return {
        "encoder/Conv_0/kernel": rng.standard_normal((3, 3, 2, 5), np.float32),
        "encoder/Conv_0/bias": rng.standard_normal(5, np.float32),
        "encoder/GroupNorm_0/scale": rng.standard_normal(4).astype(ml_dtypes.bfloat16),
        "decoder/empty": np.zeros((0, 3), np.float32),
        "step": np.array(3.5, np.float32),
        "codes/0/table": rng.standard_normal((4, 3)).astype(np.float16),
    }


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    """Return a function that puts bytes into a file."""

    def into_file(content: bytes) -> Path:
        path = tmp_path / "checkpoint"
        path.write_bytes(content)
        return path

    return into_file


@pytest.fixture
def opened(write: Callable[[bytes], Path]) -> Callable[[bytes], Checkpoint]:
    """Return a function that opens bytes as a checkpoint."""
    return lambda content: open_checkpoint(write(content))


@pytest.fixture
def same() -> Callable[[Checkpoint, Mapping[str, Array]], None]:
    """Return a function that asserts that a checkpoint holds these arrays, to the bit, as `read` promises them."""

    def check(checkpoint: Checkpoint, expected: Mapping[str, Array]) -> None:
        assert set(checkpoint.specs) == set(expected)
        for name, array in expected.items():
            found = checkpoint.read(name)
            wanted = np.asarray(array)
            native = wanted.astype(wanted.dtype.newbyteorder("="))
            spec = checkpoint.specs[name]
            assert (spec.shape, spec.dtype) == (native.shape, native.dtype.name)
            assert (found.shape, found.dtype) == (native.shape, native.dtype)
            assert found.tobytes() == native.tobytes("C")
            assert found.flags.c_contiguous
            assert not found.flags.writeable

    return check
