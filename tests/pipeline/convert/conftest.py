"""A short text that a small language model is calibrated on."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return two sequences of 24 ids below 256."""
    path = tmp_path_factory.mktemp("text") / "t.npz"
    np.savez(path, input_ids=np.random.default_rng(0).integers(0, 256, (2, 24)))
    return path
