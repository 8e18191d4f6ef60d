"""Heads side by side: a variable [b, h, s, d] as [b, s, h * d], which projections give and fused operators take."""

from typing import Any, Final

import onnx_ir as ir

from lwmport.converters.onnx.bindings import Order
from lwmport.converters.onnx.emitter import Emitter, permuted
from lwmport.graphs.atoms import shape_of
from lwmport.types import Dim

BESIDE: Final[Order] = (0, 2, 1, 3)
"""The axis order [b, s, h, d]."""


def merged(e: Emitter, atom: Any) -> ir.Value:
    """Return heads as [b, s, h * d]: as they were before they were split, or put together again."""
    noted = e.notes.get(("heads", atom))
    if noted is not None:
        found: ir.Value = noted()
        return found
    return e.reshaped(e.read(atom, BESIDE), permuted(shape_of(atom), BESIDE), merged_shape(atom), atom.aval.dtype)


def bind_merged(e: Emitter, variable: Any, value: ir.Value) -> None:
    """Record a value [b, s, h * d] as a variable, which is split only where somebody reads it in heads."""
    e.notes["heads", variable] = lambda: value
    split = permuted(shape_of(variable), BESIDE)
    e.defer(variable, lambda: (e.reshaped(value, merged_shape(variable), split, variable.aval.dtype), BESIDE))


def merged_shape(atom: Any) -> tuple[Dim, ...]:
    """Return [b, s, h * d] of heads [b, h, s, d]."""
    batch, heads, length, size = shape_of(atom)
    return batch, length, int(heads) * int(size)
