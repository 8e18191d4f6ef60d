"""Damaged files of every format: read right, or refused with a `CheckpointError`; never anything else."""

import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.writers.write import WRITERS, write_checkpoint
from lwmport.errors import CheckpointError
from lwmport.types import Array

ROUNDS = 100
EDGES = bytes([0, 1, 2, 0x28, 0x2E, 0x52, 0x62, 0x75, 0x7F, 0x80, 0x85, 0x93, 0x94, 0xC6, 0xDD, 0xDF, 0xFF])
"""Bytes that mean something to a reader: opcodes, type codes, extreme lengths."""


def damaged(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 4])):
        place = rng.randrange(len(changed))
        match rng.randrange(4):
            case 0:
                changed[place] ^= 1 << rng.randrange(8)
            case 1:
                changed[place] = rng.choice(EDGES)
            case 2:
                del changed[place : min(place + rng.randrange(1, 12), len(changed) - 1)]
            case _:
                start = rng.randrange(len(changed))
                changed[place:place] = changed[start : start + rng.randrange(1, 30)]
    return bytes(changed)


def check(path: Path) -> bool:
    """Return whether the file could be read."""
    message = ""
    try:
        checkpoint = open_checkpoint(path)
        for name, spec in checkpoint.specs.items():
            assert checkpoint.read(name).shape == spec.shape
    except CheckpointError as error:
        message = str(error)
    assert message.isprintable()
    return not message


@pytest.mark.parametrize("form", WRITERS)
def test_damaged_files_are_read_or_refused(
    form: str, arrays: dict[str, Array], in_memory: Callable[..., Any], write: Callable[[bytes], Path], tmp_path: Path
) -> None:
    write_checkpoint(in_memory(arrays), tmp_path / "whole", form)
    content = (tmp_path / "whole").read_bytes()
    rng = random.Random(form)  # noqa: S311 - damage, no secret
    outcomes = [check(write(damaged(content, rng))) for _ in range(ROUNDS)]
    assert 0 < sum(outcomes) < ROUNDS


@pytest.mark.parametrize("protocol", range(6))
def test_damaged_pickles_are_read_or_refused(protocol: int, write: Callable[[bytes], Path]) -> None:
    content = pickle.dumps(
        {"a": {"kernel": np.ones((20, 30), np.float32)}, "b": np.asfortranarray(np.ones((2, 3)))}, protocol
    )
    rng = random.Random(protocol)  # noqa: S311 - damage, no secret
    outcomes = [check(write(damaged(content, rng))) for _ in range(ROUNDS)]
    assert 0 < sum(outcomes) < ROUNDS
