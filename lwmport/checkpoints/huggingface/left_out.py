"""Tensors of a folder that a model does not read as they are: each is compared with what stands for it, and named."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Final

import numpy as np

from lwmport.checkpoints.index import Checkpoint
from lwmport.models.huggingface import HfFolder, TiedTensor
from lwmport.wording import shown

NAMED: Final = 5
"""Names in one line; the others are counted."""


def settle_tied(folder: Checkpoint, family: HfFolder, config: dict[str, Any]) -> tuple[str, ...]:
    """Return what was found of a tensor that is said to be another one again, and change the configuration to it.

    transformers 5 does the same: a tensor that is stored with other values is not tied.

    Raises:
        CheckpointError: one of the two cannot be read.
    """
    tied = family.tied(config)
    if tied is None or not {tied.name, tied.table} <= folder.entries.keys():
        return ()
    if _equal(folder, tied):
        return (f"{tied.name} is {tied.table} again, as {tied.field} says",)
    config[tied.field] = False
    return (f"{tied.name} is used: its values are not those of {tied.table}, although {tied.field} is true",)


def check_left_out(folder: Checkpoint, family: HfFolder, config: dict[str, Any]) -> tuple[str, ...]:
    """Return which tensors are left out because they follow from others or from the configuration, in words.

    Raises:
        CheckpointError: one cannot be read.
    """
    tied = family.tied(config)
    names = [name for name in folder.entries if family.ignored(name, config) and (not tied or name != tied.name)]
    reasons = (family.wrong(name, folder.read(name), config) for name in names)
    wrong = "".join(dict.fromkeys(f", {reason}" for reason in reasons if reason))
    return (f"left out, for the configuration tells them: {listed(names)}{wrong}",) if names else ()


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(map(shown, names[:NAMED])) + more


def _equal(folder: Checkpoint, tied: TiedTensor) -> bool:
    """Return whether both hold the same values; the rest is not read behind the first piece that differs."""
    if folder.specs[tied.name] != folder.specs[tied.table]:
        return False
    both = zip_longest(folder.pieces(tied.name), folder.pieces(tied.table))
    return all(one is not None and other is not None and np.array_equal(one, other) for one, other in both)
