"""A tensor of a folder that holds several of ours, one behind the other, is taken apart: its rows are theirs."""

import dataclasses
from collections.abc import Mapping

from lwmport.checkpoints.entry import TensorEntry
from lwmport.errors import CheckpointError
from lwmport.wording import shown

Parts = Mapping[str, tuple[tuple[str, int], ...]]
"""Tensor -> the names and the rows of those that it holds."""


def divided(entries: Mapping[str, TensorEntry], parts: Parts) -> dict[str, TensorEntry]:
    """Return the tensors, those of ``parts`` divided.

    Raises:
        CheckpointError: one has another number of rows than its parts together.
    """
    found: dict[str, TensorEntry] = {}
    for name, entry in entries.items():
        if name not in parts:
            found[name] = entry
            continue
        total, begin = sum(count for _, count in parts[name]), 0
        for own, count in parts[name]:
            found[own] = _rows(name, entry, begin, count, total)
            begin += count
    return found


def _rows(name: str, whole: TensorEntry, begin: int, count: int, total: int) -> TensorEntry:
    """Return rows of a stored matrix; a head is seen as its transpose."""
    stored = whole.stored_shape
    if len(stored) != 2 or stored[0] != total or len(whole.pieces) != 1:
        raise CheckpointError(f"{shown(name)}: expected {total} rows, found the shape {stored}")
    ((offset, length),) = whole.pieces
    row = length // total
    pieces, kept = ((offset + begin * row, count * row),), (count, stored[1])
    if not whole.axes:
        return dataclasses.replace(whole, shape=kept, pieces=pieces)
    return dataclasses.replace(whole, shape=kept[::-1], view=kept, pieces=pieces)
