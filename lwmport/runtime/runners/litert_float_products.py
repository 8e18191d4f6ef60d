"""LiteRT's products of rounded numbers as products in float32: the same file with its codes times their scales.

Whoever runs it so learns whether codes and scales are right, apart from what the rounding of what is multiplied does.
The file is written anew, a weight at a time, and gone when it is open: LiteRT maps it.
"""

from collections.abc import Collection, Sequence
from copy import copy
from itertools import chain
from math import prod
from pathlib import Path
from typing import IO, Any, Final

from lwmport import atomic, extras
from lwmport.runtime.pieces.tflite_numbers import integers, numbers
from lwmport.runtime.pieces.tflite_options import ints
from lwmport.runtime.pieces.tflite_tables import Tables
from lwmport.runtime.runners.litert import LiteRTRunner
from lwmport.runtime.runners.litert_file import IDENTIFIER, whole
from lwmport.runtime.spec import RunnerContext

ALIGNMENT: Final = 64
"""Of constants in the file: TFLite's kDefaultTensorAlignment."""

_ANYWHERE: Final = 1 << 40
"""Stands for a place that is not known yet; 0 would be left out of the tables and change their length."""


def open_with_float_products(path: Path, context: RunnerContext) -> LiteRTRunner:
    """Return a TFLite file, ready to run, whose weights of integers are numbers.

    Raises:
        RunnerError: it is not whole, or LiteRT refuses it.
        ArtifactError: its tables contradict themselves.
        PortError: there is no place beside it for the numbers.
    """
    tables = Tables(*whole(path))
    with atomic.scratch_folder(path) as scratch:
        made = scratch / path.name
        with made.open("wb") as file:
            _write(tables, file)
        return LiteRTRunner(made, context.threads)


def _write(tables: Tables, file: IO[bytes]) -> None:
    scaled = integers(tables)
    replaced = {tables.main.tensors[place].buffer for place in scaled}
    kept = [
        number for number, buffer in enumerate(tables.model.buffers) if buffer.offset > 1 and number not in replaced
    ]
    sizes = [tables.model.buffers[number].size for number in kept]
    sizes += [4 * prod(ints(tables.main.tensors[place].shape)) for place in scaled]
    model = _model(tables, scaled, replaced)
    behind = [model.buffers[number] for number in (*kept, *range(len(tables.model.buffers), len(model.buffers)))]
    _place(behind, sizes, _ANYWHERE, 0)
    _place(behind, sizes, len(_packed(model)), ALIGNMENT)
    file.write(_packed(model))
    held = (iter([tables.raw(number)]) for number in kept)
    for buffer, parts in zip(behind, chain(held, (numbers(tables, place) for place in scaled)), strict=True):
        file.write(bytes(buffer.offset - file.tell()))
        for part in parts:
            file.write(part.data)
        tables.give_back()


def _model(tables: Tables, scaled: Sequence[int], replaced: Collection[int]) -> Any:
    """Return the tables with weights of float32, each in a buffer of its own behind all others."""
    model, main, schema = copy(tables.model), copy(tables.main), tables.schema
    main.tensors = [copy(tensor) for tensor in main.tensors]
    model.subgraphs = [main, *model.subgraphs[1:]]
    model.buffers = [
        schema.BufferT() if number in replaced else copy(buffer) for number, buffer in enumerate(model.buffers)
    ]
    for place in scaled:
        tensor = main.tensors[place]
        tensor.type, tensor.quantization, tensor.buffer = schema.TensorType.FLOAT32, None, len(model.buffers)
        model.buffers.append(schema.BufferT())
    return model


def _place(buffers: Sequence[Any], sizes: Sequence[int], end: int, alignment: int) -> None:
    """Put buffers one behind the other from ``end`` on; without an alignment all there, for their place to be found."""
    for buffer, size in zip(buffers, sizes, strict=True):
        buffer.offset, buffer.size = (-(-end // alignment) * alignment, size) if alignment else (end, size)
        end = buffer.offset + size if alignment else end


def _packed(model: Any) -> bytes:
    builder = extras.require("flatbuffers").Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())
