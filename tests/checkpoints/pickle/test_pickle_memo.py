"""The memo of a pickle: indices are keys of a dict, and a file may choose them."""

from pathlib import Path

import pytest

from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.pickle.machine import LARGEST_INDEX
from lwmport.errors import CheckpointError

PRIME = (1 << 61) - 1
"""Python hashes an integer by its remainder to this prime: multiples of it all meet in one place of a dict."""


@pytest.mark.parametrize("index", [PRIME, 2 * PRIME, LARGEST_INDEX])
def test_an_index_that_no_pickler_counts_up_to_is_refused(index: int, tmp_path: Path) -> None:
    (tmp_path / "memo.pkl").write_bytes(b"}p%d\n." % index)
    with pytest.raises(CheckpointError, match="expected an index below 4,294,967,296 in the memo"):
        open_checkpoint(tmp_path / "memo.pkl")


def test_the_largest_index_is_taken(tmp_path: Path) -> None:
    (tmp_path / "memo.pkl").write_bytes(b"}p%d\n." % (LARGEST_INDEX - 1))
    with pytest.raises(CheckpointError, match="expected tensors, found a pickle file without any"):
        open_checkpoint(tmp_path / "memo.pkl")
