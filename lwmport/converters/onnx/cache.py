"""Writing new tokens into a cache of fixed length."""

from typing import Any

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx.emitter import Emitter, identity
from lwmport.graphs.atoms import shape_of


def tensor_scatter(e: Emitter, equation: Any) -> None:
    """Emit TensorScatter, whose index is one a sequence."""
    (cache, new, position), (out,) = equation.invars, equation.outvars
    batch = shape_of(cache)[0]
    start = e.graph.node("Cast", [e.read(position)], (), np.int64, {"to": ir.DataType.INT64})
    start = e.graph.node("Expand", [start, _sizes(e, cache)], (batch,), np.int64)
    attributes = {"axis": 2, "mode": "linear"}
    _bind(e, out, e.emit("TensorScatter", [e.read(cache), e.read(new), start], out, None, attributes))


def where(e: Emitter, equation: Any) -> None:
    """Emit Where over all slots, for readers without any scatter; several tokens are first taken to their slots."""
    (cache, new, position), (out,) = equation.invars, equation.outvars
    slots, count = shape_of(cache)[2], int(shape_of(new)[2])
    numbers = e.graph.constant(np.arange(slots, dtype=np.int32))
    value, start = e.read(new), e.read(position)
    if count == 1:
        written = e.graph.node("Equal", [numbers, start], (slots,), np.bool_)
    else:
        behind = e.graph.node("Sub", [numbers, start], (slots,), np.int32)
        last, none = (e.graph.constant(np.asarray(number, np.int32)) for number in (count - 1, 0))
        low = e.graph.node("Max", [behind, none], (slots,), np.int32)
        index = e.graph.node("Min", [low, last], (slots,), np.int32)
        written = e.graph.node("Equal", [behind, index], (slots,), np.bool_)
        value = e.graph.node("Gather", [value, index], shape_of(out), out.aval.dtype, {"axis": 2})
    shape = e.graph.constant(np.asarray([1, 1, slots, 1], np.int64))
    written = e.graph.node("Reshape", [written, shape], (1, 1, slots, 1), np.bool_)
    _bind(e, out, e.emit("Where", [written, value, e.read(cache)], out))


def _sizes(e: Emitter, cache: Any) -> ir.Value:
    """Return the shape [batch] of one index a sequence, read off the cache where the batch is dynamic."""
    batch = shape_of(cache)[0]
    if isinstance(batch, int):
        return e.graph.constant(np.asarray([batch], np.int64))
    return e.graph.node("Shape", [e.read(cache)], (1,), np.int64, {"start": 0, "end": 1})


def _bind(e: Emitter, out: Any, value: ir.Value) -> None:
    e.bind(out, value, identity(4))
