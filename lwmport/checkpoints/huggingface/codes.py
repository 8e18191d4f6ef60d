"""A vision-language model written as a plain LLaMA is taken apart again: its codes are rows behind those of text."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from lwmport.checkpoints.entry import TensorEntry
from lwmport.checkpoints.huggingface.names import HEAD
from lwmport.checkpoints.wording import shown
from lwmport.errors import CheckpointError

TABLES: Final = ("transformer/wte/embedding", "transformer/vte/embedding")
HEADS: Final = (HEAD, "vision_head/kernel")
"""The tensor of the text and that of the codes, which are one in Hugging Face's model."""


def divided(entries: Mapping[str, TensorEntry], config: Mapping[str, Any]) -> dict[str, TensorEntry]:
    """Return the tensors with tables and heads divided, if the configuration says that there are codes.

    Raises:
        CheckpointError: the tables or heads have other sizes than the configuration says.
    """
    found = dict(entries)
    if "vision_vocab_size" not in config:
        return found
    for text, codes in (TABLES, HEADS):
        if text in found:
            whole = found[text]
            found[text] = _rows(text, whole, 0, config["vocab_size"], config)
            found[codes] = _rows(text, whole, config["vocab_size"], config["vision_vocab_size"], config)
    return found


def _rows(name: str, whole: TensorEntry, begin: int, count: int, config: Mapping[str, Any]) -> TensorEntry:
    """Return rows of a stored matrix; a head is seen as its transpose."""
    stored, total = whole.stored_shape, config["vocab_size"] + config["vision_vocab_size"]
    if len(stored) != 2 or stored[0] != total or len(whole.pieces) != 1:
        raise CheckpointError(f"{shown(name)}: expected {total} rows of text and codes, found the shape {stored}")
    ((offset, length),) = whole.pieces
    row = length // total
    pieces, kept = ((offset + begin * row, count * row),), (count, stored[1])
    if not whole.axes:
        return dataclasses.replace(whole, shape=kept, pieces=pieces)
    return dataclasses.replace(whole, shape=kept[::-1], view=kept, pieces=pieces)
