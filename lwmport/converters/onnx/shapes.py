"""Rules that move data without computing: most are Reshape, and a transpose is only a change of axis order."""

from typing import Any, Final

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx.emitter import Emitter, Rule, identity, permuted, reshape_target
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import shape_of


def reshape(e: Emitter, equation: Any) -> None:
    """Emit Reshape, in JAX's own axis order on both sides."""
    source, (out,) = equation.invars[0], equation.outvars
    value = e.read(source)
    if shape_of(source) != shape_of(out):
        target = e.graph.constant(np.asarray(reshape_target(shape_of(out)), np.int64))
        value = e.emit("Reshape", [value, target], out)
    e.bind(out, value, identity(len(out.aval.shape)))


def transpose(e: Emitter, equation: Any) -> None:
    """Emit nothing: the same value in another axis order."""
    source, (out,) = equation.invars[0], equation.outvars
    permutation = equation.params["permutation"]
    order = e.order_of(source)
    e.bind(out, e.read(source, order), tuple(permutation.index(axis) for axis in order))


def broadcast_in_dim(e: Emitter, equation: Any) -> None:
    """Emit Reshape where only axes of size 1 are added, and Expand where sizes grow."""
    source, (out,) = equation.invars[0], equation.outvars
    shape = shape_of(out)
    reader = e.sole_reader(out)
    if reader is not None and _reads_as_indices(reader, out) and shape == (*shape_of(source), 1):
        e.notes[out] = source  # JAX adds an axis to the indices of a gather; ONNX wants them without
        return
    spread = list(shape)
    for axis in range(len(shape)):
        if axis not in equation.params["broadcast_dimensions"]:
            spread[axis] = 1
    for axis, size in zip(equation.params["broadcast_dimensions"], shape_of(source), strict=True):
        spread[axis] = size
    value = e.read(source)
    if tuple(spread) != shape_of(source):
        target = e.graph.constant(np.asarray(reshape_target(spread), np.int64))
        value = e.graph.node("Reshape", [value, target], spread, out.aval.dtype)
    if tuple(spread) != shape:
        value = e.emit("Expand", [value, _expansion(e, spread, shape)], out)
    e.bind(out, value, identity(len(shape)))


def _reads_as_indices(reader: Any, variable: Any) -> bool:
    return reader.primitive.name == "gather" and reader.invars[1] is variable


def _expansion(e: Emitter, spread: list[Any], shape: tuple[Any, ...]) -> Any:
    """Return the operand of Expand: 1 keeps a size, so that a dynamic size need not be computed."""
    target = [1 if size == before else size for before, size in zip(spread, shape, strict=True)]
    if not all(isinstance(size, int) for size in target):
        raise LoweringError(f"expected static sizes to broadcast to, found {list(shape)}; fix the batch")
    return e.graph.constant(np.asarray(target, np.int64))


def concatenate(e: Emitter, equation: Any) -> None:
    """Emit Concat in the axis order of the first operand."""
    (out,) = equation.outvars
    order = e.order_of(equation.invars[0])
    axis = order.index(equation.params["dimension"])
    values = [e.read(atom, order) for atom in equation.invars]
    e.bind(out, e.emit("Concat", values, out, order, {"axis": axis}), order)


def slice_(e: Emitter, equation: Any) -> None:
    """Emit Slice over the axes that lose elements."""
    source, (out,) = equation.invars[0], equation.outvars
    order = e.order_of(source)
    strides = equation.params["strides"] or (1,) * len(order)
    starts, limits = equation.params["start_indices"], equation.params["limit_indices"]
    cut = [axis for axis in order if (starts[axis], limits[axis], strides[axis]) != (0, source.aval.shape[axis], 1)]
    ranges = [[table[axis] for axis in cut] for table in (starts, limits, strides)]
    if not all(isinstance(limit, int) for limit in ranges[1]):
        raise LoweringError(f"expected a slice to end at a known place, found {limits}; fix the batch")
    axes = [order.index(axis) for axis in cut]
    operands = [e.graph.constant(np.asarray(part, np.int64)) for part in (ranges[0], ranges[1], axes, ranges[2])]
    e.bind(out, e.emit("Slice", [e.read(source, order), *operands], out, order), order)


def gather(e: Emitter, equation: Any) -> None:
    """Emit Gather for the rows of a table, the one gather that the models use."""
    (table, indices), (out,) = equation.invars, equation.outvars
    numbers, sizes = equation.params["dimension_numbers"], tuple(equation.params["slice_sizes"])
    rows = (1, *table.aval.shape[1:])
    whole = tuple(range(len(indices.aval.shape) - 1, len(out.aval.shape)))
    fits = numbers.start_index_map == (0,) and numbers.collapsed_slice_dims == (0,) and sizes == rows
    mode = str(equation.params["mode"])
    if not fits or numbers.offset_dims != whole or "PROMISE" not in mode:
        raise LoweringError(
            f"expected a gather of whole rows that promises to stay in bounds, found {mode}, slices {sizes}, {numbers}"
        )
    positions = e.read(e.notes[indices]) if indices in e.notes else _drop_last(e, indices)
    e.bind(out, e.emit("Gather", [e.read(table), positions], out, None, {"axis": 0}), identity(len(out.aval.shape)))


def _drop_last(e: Emitter, indices: Any) -> ir.Value:
    shape = shape_of(indices)[:-1]
    target = e.graph.constant(np.asarray(reshape_target(shape), np.int64))
    return e.graph.node("Reshape", [e.read(indices), target], shape, indices.aval.dtype)


def squeeze(e: Emitter, equation: Any) -> None:
    """Emit Reshape without the axes of size 1; any axis order is followed."""
    source, (out,) = equation.invars[0], equation.outvars
    order = tuple(axis for axis in e.order_of(source) if axis not in equation.params["dimensions"])
    kept = sorted(order)
    new = tuple(kept.index(axis) for axis in order)
    target = e.graph.constant(np.asarray(reshape_target(permuted(shape_of(out), new)), np.int64))
    e.bind(out, e.emit("Reshape", [e.read(source, e.order_of(source)), target], out, new), new)


RULES: Final[dict[str, Rule]] = {
    "broadcast_in_dim": broadcast_in_dim,
    "concatenate": concatenate,
    "gather": gather,
    "reshape": reshape,
    "slice": slice_,
    "squeeze": squeeze,
    "transpose": transpose,
}
