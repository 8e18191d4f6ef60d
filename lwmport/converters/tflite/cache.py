"""Writing new tokens into a cache of fixed length [b, h, slots, d]."""

from typing import Any, Final

import numpy as np

from lwmport.converters.tflite.elementwise import combine
from lwmport.converters.tflite.emitter import Emitter, Rule
from lwmport.converters.tflite.graph import Tensor
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import shape_of


def update_slice(e: Emitter, equation: Any) -> None:
    """Emit DYNAMIC_UPDATE_SLICE."""
    (cache, new, position), (out,) = equation.invars, equation.outvars
    key = ("starts", position)
    if key not in e.notes:
        zero = e.graph.integers([0])
        start = e.reshape(e.read(position), (1,))
        options = {"axis": 0}
        e.notes[key] = e.graph.operation("CONCATENATION", [zero, zero, start, zero], (4,), np.int32, options)
    e.bind(out, e.emit("DYNAMIC_UPDATE_SLICE", [e.read(cache), e.read(new), e.notes[key]], out))


def select(e: Emitter, equation: Any) -> None:
    """Emit SELECT_V2 over all slots, for readers without DYNAMIC_UPDATE_SLICE; several tokens go to their slots."""
    (cache, new, position), (out,) = equation.invars, equation.outvars
    written, index = _written(e, position, shape_of(cache)[2], shape_of(new)[2])
    value = e.read(new)
    if index is not None:
        value = e.emit("GATHER", [value, index], out, {"axis": 2, "batchDims": 0})
    e.bind(out, e.emit("SELECT_V2", [written, value, e.read(cache)], out))


def _written(e: Emitter, position: Any, slots: Any, count: Any) -> tuple[Tensor, Tensor | None]:
    """Return which slots are written, bool [slots, 1], and by which of the new tokens, or None if there is one."""
    key = ("written", position, slots, count)
    if key not in e.notes:
        e.notes[key] = _compare(e, position, slots, count)
    found: tuple[Tensor, Tensor | None] = e.notes[key]
    return found


def _compare(e: Emitter, position: Any, slots: Any, count: Any) -> tuple[Tensor, Tensor | None]:
    numbers, start = e.graph.integers(range(slots)), e.read(position)
    index = None
    if count == 1:
        written = combine(e, "EQUAL", [numbers, start], np.bool_)
    else:
        last, none = (e.graph.constant(np.asarray(number, np.int32)) for number in (count - 1, 0))
        behind = combine(e, "SUB", [numbers, start])
        index = combine(e, "MINIMUM", [combine(e, "MAXIMUM", [behind, none]), last])
        written = combine(e, "EQUAL", [behind, index], np.bool_)
    return e.reshape(written, (slots, 1)), index


def dynamic_update_slice(e: Emitter, equation: Any) -> None:
    """Emit DYNAMIC_UPDATE_SLICE for any array and any places.

    Raises:
        LoweringError: a place is no int32.
    """
    (operand, update, *starts), (out,) = equation.invars, equation.outvars
    if any(str(start.aval.dtype) != "int32" for start in starts):
        raise LoweringError(f"expected int32 places to write at, found {starts[0].aval.dtype} (dynamic_update_slice)")
    parts = [e.reshape(e.read(start), (1,)) for start in starts]
    options = {"axis": 0}
    place = e.graph.operation("CONCATENATION", parts, (len(parts),), np.int32, options)
    e.bind(out, e.emit("DYNAMIC_UPDATE_SLICE", [e.read(operand), e.read(update), place], out))


RULES: Final[dict[str, Rule]] = {"dynamic_update_slice": dynamic_update_slice}
