"""A TFLite file written anew with other tables, its weights behind them, a buffer at a time."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import IO, Any, Final

from lwmport import extras
from lwmport.runtime.pieces.tflite_tables import Tables
from lwmport.runtime.runners.litert_file import IDENTIFIER
from lwmport.types import Array

ALIGNMENT: Final = 64
"""Of constants in the file: TFLite's kDefaultTensorAlignment."""

_ANYWHERE: Final = 1 << 40
"""Stands for a place that is not known yet; 0 would be left out of the tables and change their length."""


def write(
    tables: Tables, model: Any, kept: Sequence[int], added: Sequence[tuple[int, Iterator[Array]]], file: IO[bytes]
) -> None:
    """Write a model that was made of the tables of a file.

    Args:
        tables: of that file.
        model: whose buffers are copies of its own, and new ones behind these.
        kept: the numbers of those that lie behind the tables and stay as they are.
        added: bytes and parts of each new one.
        file: to write into.
    """
    sizes = [tables.model.buffers[number].size for number in kept] + [size for size, _ in added]
    behind = [model.buffers[number] for number in (*kept, *range(len(tables.model.buffers), len(model.buffers)))]
    _place(behind, sizes, _ANYWHERE, 0)
    _place(behind, sizes, len(_packed(model)), ALIGNMENT)
    file.write(_packed(model))
    held = (iter([tables.raw(number)]) for number in kept)
    for buffer, parts in zip(behind, chain(held, (parts for _, parts in added)), strict=True):
        file.write(bytes(buffer.offset - file.tell()))
        for part in parts:
            file.write(part.data)
        tables.give_back()


def behind_tables(model: Any) -> list[int]:
    """Return the numbers of the buffers that lie behind the tables."""
    return [number for number, buffer in enumerate(model.buffers) if buffer.offset > 1]


def _place(buffers: Sequence[Any], sizes: Sequence[int], end: int, alignment: int) -> None:
    """Put buffers one behind the other from ``end`` on; without an alignment all there, for their place to be found."""
    for buffer, size in zip(buffers, sizes, strict=True):
        buffer.offset, buffer.size = (-(-end // alignment) * alignment, size) if alignment else (end, size)
        end = buffer.offset + size if alignment else end


def _packed(model: Any) -> bytes:
    builder = extras.require("flatbuffers").Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())
