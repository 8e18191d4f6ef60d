"""Forms of the rotation by position. The angles are made by the program, once, and right at any position."""

from typing import Any, Final

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx.emitter import Emitter, identity
from lwmport.converters.onnx.heads import bind_merged, merged, merged_shape
from lwmport.graphs.atoms import composite_attributes, shape_of

MICROSOFT: Final = "com.microsoft"


def rotary_embedding(e: Emitter, equation: Any) -> None:
    """Emit RotaryEmbedding with the cosines and sines of each token."""
    (x, cos, sin), (out,) = equation.invars, equation.outvars
    attributes = {"interleaved": composite_attributes(equation)["interleaved"], "num_heads": shape_of(x)[1]}
    operands = [merged(e, x), *(_cast(e, table, out.aval.dtype) for table in (cos, sin))]
    value = e.graph.node("RotaryEmbedding", operands, merged_shape(out), out.aval.dtype, attributes)
    bind_merged(e, out, value)


def rotary_embedding_of_heads(e: Emitter, equation: Any) -> None:
    """Emit RotaryEmbedding on heads [b, h, s, d]: OpenVINO turns heads side by side to these, and back."""
    (x, cos, sin), (out,) = equation.invars, equation.outvars
    attributes = {"interleaved": composite_attributes(equation)["interleaved"]}
    operands = [e.read(x), *(_cast(e, table, out.aval.dtype) for table in (cos, sin))]
    e.bind(out, e.emit("RotaryEmbedding", operands, out, identity(4), attributes), identity(4))


def indexed_rotary_embedding(e: Emitter, equation: Any) -> None:
    """Emit Microsoft's RotaryEmbedding, which looks rows up in a table: here the table has one for each token."""
    (x, cos, sin), (out,) = equation.invars, equation.outvars
    attributes = {"interleaved": composite_attributes(equation)["interleaved"]}
    rows = [_rows(e, table, out.aval.dtype) for table in (cos, sin)]
    operands = [merged(e, x), _numbers(e, cos), *rows]
    value = e.graph.node("RotaryEmbedding", operands, merged_shape(out), out.aval.dtype, attributes, MICROSOFT)
    bind_merged(e, out, value)


def _cast(e: Emitter, table: Any, dtype: Any) -> ir.Value:
    return e.cast(e.read(table), shape_of(table), table.aval.dtype, dtype)


def _rows(e: Emitter, table: Any, dtype: Any) -> ir.Value:
    """Return a table [b, s, d / 2] as [b * s, d / 2]."""
    return e.reshaped(_cast(e, table, dtype), shape_of(table), (_tokens(table), shape_of(table)[-1]), dtype)


def _numbers(e: Emitter, table: Any) -> ir.Value:
    """Return the number of each token among all, int64 [b, s]."""
    tokens = _tokens(table)
    if isinstance(tokens, int):
        return e.graph.constant(np.arange(tokens, dtype=np.int64).reshape(table.aval.shape[:2]))
    return e.reshaped(e.sizes.counted(tokens, np.int64), (tokens,), shape_of(table)[:2], np.int64)


def _tokens(table: Any) -> Any:
    """Return the number of tokens b * s."""
    tokens = table.aval.shape[0] * table.aval.shape[1]
    return tokens if isinstance(tokens, int) else str(tokens)
