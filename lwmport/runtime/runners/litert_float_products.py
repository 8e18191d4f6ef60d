"""LiteRT's products of rounded numbers as products in float32: the same file with its codes times their scales.

Whoever runs it so learns whether codes and scales are right, apart from what the rounding of what is multiplied does.
The file is written anew, a weight at a time, and gone when it is open: LiteRT maps it.
"""

from collections.abc import Collection, Sequence
from copy import copy
from math import prod
from pathlib import Path
from typing import IO, Any

from lwmport import atomic
from lwmport.runtime.pieces.tflite_numbers import integers, numbers
from lwmport.runtime.pieces.tflite_options import ints
from lwmport.runtime.pieces.tflite_tables import Tables
from lwmport.runtime.runners.litert import LiteRTRunner
from lwmport.runtime.runners.litert_file import whole
from lwmport.runtime.runners.litert_rewritten import behind_tables, write
from lwmport.runtime.spec import RunnerContext


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
    kept = [number for number in behind_tables(tables.model) if number not in replaced]
    added = [(4 * prod(ints(tables.main.tensors[place].shape)), numbers(tables, place)) for place in scaled]
    write(tables, _model(tables, scaled, replaced), kept, added, file)


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
