"""How large the files of an ONNX model are going to be: its graph is built, no weight read, and nothing written."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx.convert import PRODUCER, build
from lwmport.converters.onnx.graph import Initializer
from lwmport.converters.onnx.writer import INLINE_BYTES, PAGE, model_of, reference
from lwmport.graphs.program import Program
from lwmport.types import Dialect, Weights


def file_bytes(program: Program, weights: Weights, dialect: Dialect) -> tuple[int, int]:
    """Return the bytes of ``NAME.onnx`` and of ``NAME.onnx.data``, as `lwmport.converters.onnx.convert` writes them.

    Raises:
        LoweringError: the program holds an operation that the dialect cannot express.
    """
    graph, inputs, outputs = build(program, weights, dialect)
    path, end = Path(f"{program.component}.onnx.data"), 0
    for item in graph.initializers.values():
        if item.nbytes < INLINE_BYTES:
            item.value.const_value = _empty(item)
            continue
        offset = -(-end // PAGE) * PAGE
        item.value.const_value = reference(item, path, offset)
        end = offset + item.nbytes
    return ir.to_proto(model_of(graph, inputs, outputs, PRODUCER)).ByteSize(), end


def _empty(item: Initializer) -> ir.Tensor[Any] | ir.PackedTensor[Any]:
    """Return a constant of zeros that is as long as one that stays inside the graph."""
    dtype, shape = item.produced
    array = np.zeros(shape, dtype)
    if item.bits >= 8:
        return ir.Tensor(array, name=item.name)
    return ir.PackedTensor(array, ir.DataType.from_numpy(item.dtype), shape=ir.Shape(item.shape), name=item.name)
