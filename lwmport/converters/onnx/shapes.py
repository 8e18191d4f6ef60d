"""Rules that move data without computing.

Most are Reshape, emitted only where somebody reads the result, from wherever a row of them began. A transpose is only a
change of axis order. What is repeated stays small where the operators that read it repeat it themselves.
"""

from typing import Any, Final

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx.bindings import Order
from lwmport.converters.onnx.emitter import Emitter, Rule, identity, permuted
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import shape_of
from lwmport.types import Dim


def reshape(e: Emitter, equation: Any) -> None:
    """Emit Reshape, in JAX's own axis order on both sides."""
    source, (out,) = equation.invars[0], equation.outvars
    merged = e.notes.get(("merged", source))
    if merged is not None and shape_of(out) == _merged_shape(source):
        e.defer(out, lambda: (merged(), identity(len(out.aval.shape))))
        return
    if shape_of(source) == _merged_shape(out):
        e.notes["merged", out] = lambda: e.read(source)
    view(e, source, out)


def view(e: Emitter, source: Any, out: Any) -> None:
    """Leave a variable that has the elements of another in the same order to its reader."""
    root = e.notes.get(("view", source), source)
    e.notes["view", out] = root
    shape = shape_of(out)

    def make() -> tuple[ir.Value, Order]:
        return e.reshaped(e.read(root), shape_of(root), shape, out.aval.dtype), identity(len(shape))

    e.defer(out, make)


def _merged_shape(atom: Any) -> tuple[Dim, ...] | None:
    """Return a shape with its last two sizes as one, if they are known."""
    *rest, heads, size = (None, None, *shape_of(atom))
    return (*rest[2:], heads * size) if isinstance(heads, int) and isinstance(size, int) else None


def transpose(e: Emitter, equation: Any) -> None:
    """Emit nothing: the same value in another axis order."""
    source, (out,) = equation.invars[0], equation.outvars
    permutation = equation.params["permutation"]
    if [axis for axis in permutation if source.aval.shape[axis] != 1] == _long_axes(source):
        view(e, source, out)
        return
    swaps_heads = tuple(permutation) == (0, 2, 1, 3)
    for before, after in (("merged", "heads"), ("heads", "merged")):
        if swaps_heads and (before, source) in e.notes:
            e.notes[after, out] = e.notes[before, source]

    def make() -> tuple[ir.Value, Order]:
        order = e.order_of(source)
        return e.read(source, order), tuple(permutation.index(axis) for axis in order)

    e.defer(out, make)


def _long_axes(atom: Any) -> list[int]:
    return [axis for axis, size in enumerate(atom.aval.shape) if size != 1]


def broadcast_in_dim(e: Emitter, equation: Any) -> None:
    """Leave what repeats to the operators that repeat it themselves; emit Expand for any other reader."""
    source, (out,) = equation.invars[0], equation.outvars
    shape = shape_of(out)
    reader = e.sole_reader(out)
    if reader is not None and _reads_as_indices(reader, out) and shape == (*shape_of(source), 1):
        e.notes[out] = source  # JAX adds an axis to the indices of a gather; ONNX wants them without
        return
    spread: list[Dim] = [1] * len(shape)
    for axis, size in zip(equation.params["broadcast_dimensions"], shape_of(source), strict=True):
        spread[axis] = size
    if tuple(spread) == shape:
        view(e, source, out)
        return
    small = Small(e, source, tuple(spread))
    e.notes["small", out] = small
    expansion = [1 if size == before else size for before, size in zip(spread, shape, strict=True)]

    def make() -> tuple[ir.Value, Order]:
        operands = [small.read(identity(len(shape))), e.sizes.vector(expansion)]
        return e.emit("Expand", operands, out), identity(len(shape))

    e.defer(out, make)


class Small:
    """What a repeated variable was before, with axes of size 1 where it repeats."""

    def __init__(self, e: Emitter, source: Any, shape: tuple[Dim, ...]) -> None:
        self._e = e
        self._source = source
        self.shape = shape

    def read(self, order: Order) -> ir.Value:
        """Return it in an axis order, without leading axes of size 1, which operators add themselves."""
        source = self._source
        if not source.aval.shape:
            return self._e.read(source)
        wanted = list(permuted(self.shape, order))
        while wanted and wanted[0] == 1:
            wanted.pop(0)
        long = [axis for axis in order if self.shape[axis] != 1]
        if long == sorted(long):
            return self._e.reshaped(self._e.read(source), shape_of(source), wanted, source.aval.dtype)
        whole = self._e.reshaped(self._e.read(source), shape_of(source), self.shape, source.aval.dtype)
        attributes = {"perm": list(order)}
        return self._e.graph.node("Transpose", [whole], permuted(self.shape, order), source.aval.dtype, attributes)


def _reads_as_indices(reader: Any, variable: Any) -> bool:
    return reader.primitive.name == "gather" and reader.invars[1] is variable


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
    sizes, params = source.aval.shape, equation.params
    strides = params["strides"] or (1,) * len(order)
    ranges = list(zip(params["start_indices"], params["limit_indices"], strides, strict=True))
    cut = [axis for axis in order if ranges[axis] != (0, sizes[axis], 1)]
    starts, limits, steps = ([_dim(ranges[axis][part]) for axis in cut] for part in range(3))
    axes = [order.index(axis) for axis in cut]
    operands = [e.sizes.vector(part) for part in (starts, limits, axes, steps)]
    e.bind(out, e.emit("Slice", [e.read(source, order), *operands], out, order), order)


def _dim(size: Any) -> Dim:
    return int(size) if isinstance(size, int | np.integer) else str(size)


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
    quantised, found = e.rule_of("quantised_rows"), e.quantised(table)
    if quantised is not None and found is not None and found.grouped == 1:
        quantised(e, equation)
        return
    e.bind(out, _rows(e, table, positions_of(e, indices), out), identity(len(out.aval.shape)))


def positions_of(e: Emitter, indices: Any) -> ir.Value:
    """Return the numbers of the rows that a gather takes."""
    return e.read(e.notes[indices]) if indices in e.notes else _drop_last(e, indices)


def _rows(e: Emitter, table: Any, positions: ir.Value, out: Any) -> ir.Value:
    """Return rows of a table; of one that is stored in another form the rows are cast, and the table stays small."""
    attributes = {"axis": 0}
    if not e.packed_name(table):
        return e.emit("Gather", [e.read(table), positions], out, None, attributes)
    dtype, shape = e.stored_dtype(table), table.aval.shape
    rows = e.graph.node(
        "Gather", [e.stored(table, identity(len(shape)), shape), positions], shape_of(out), dtype, attributes
    )
    return e.cast(rows, shape_of(out), dtype, out.aval.dtype)


def _drop_last(e: Emitter, indices: Any) -> ir.Value:
    shape = shape_of(indices)
    return e.reshaped(e.read(indices), shape, shape[:-1], indices.aval.dtype)


def squeeze(e: Emitter, equation: Any) -> None:
    """Emit Reshape without the axes of size 1; any axis order is followed."""
    source, (out,) = equation.invars[0], equation.outvars
    order = tuple(axis for axis in e.order_of(source) if axis not in equation.params["dimensions"])
    if order == tuple(sorted(order)):
        view(e, source, out)
        return
    kept = sorted(order)
    new = tuple(kept.index(axis) for axis in order)
    old = e.order_of(source)
    value = e.reshaped(
        e.read(source, old), permuted(shape_of(source), old), permuted(shape_of(out), new), out.aval.dtype
    )
    e.bind(out, value, new)


def iota(e: Emitter, equation: Any) -> None:
    """Emit Range, once for each size."""
    (out,) = equation.outvars
    axis, shape = equation.params["dimension"], shape_of(out)
    value = e.sizes.counted(shape[axis], out.aval.dtype)
    spread: list[Dim] = [1] * len(shape)
    spread[axis] = shape[axis]

    def make() -> tuple[ir.Value, Order]:
        expansion = [1 if at == axis else size for at, size in enumerate(shape)]
        small = e.reshaped(value, shape[axis : axis + 1], spread, out.aval.dtype)
        whole = small if tuple(spread) == shape else e.emit("Expand", [small, e.sizes.vector(expansion)], out)
        return whole, identity(len(shape))

    e.defer(out, make)


def size(e: Emitter, equation: Any) -> None:
    """Bind a dynamic size as a number."""
    (out,) = equation.outvars
    e.bind(out, e.sizes.scalar(_dim(equation.params["dim"]), out.aval.dtype), ())


RULES: Final[dict[str, Rule]] = {
    "broadcast_in_dim": broadcast_in_dim,
    "concatenate": concatenate,
    "dim_as_value": size,
    "gather": gather,
    "iota": iota,
    "reshape": reshape,
    "slice": slice_,
    "squeeze": squeeze,
    "transpose": transpose,
}
