"""Rules that sum, choose or contract over axes."""

from collections.abc import Sequence
from math import prod
from typing import Any, Final

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx.bindings import Order
from lwmport.converters.onnx.emitter import Emitter, Rule, identity, permuted
from lwmport.graphs.atoms import shape_of
from lwmport.types import Dim

_REDUCTIONS: Final = {
    "reduce_max": ("ReduceMax", 18),
    "reduce_min": ("ReduceMin", 18),
    "reduce_prod": ("ReduceProd", 18),
    "reduce_sum": ("ReduceSum", 13),
}
"""Primitive -> (operator, first opset in which its axes are an input rather than an attribute)."""


def reduce(e: Emitter, equation: Any) -> None:
    """Emit one reduction in whatever axis order its operand has."""
    source, (out,) = equation.invars[0], equation.outvars
    order = e.order_of(source)
    if not equation.params["axes"]:  # ONNX reads an empty list of axes as all of them
        e.bind(out, e.read(source, order), order)
        return
    axes = sorted(order.index(axis) for axis in equation.params["axes"])
    left = remaining(order, equation.params["axes"])
    op, as_input_since = _REDUCTIONS[equation.primitive.name]
    operands, attributes = [e.read(source, order)], {"keepdims": 0}
    if e.graph.opset >= as_input_since:
        operands.append(e.graph.constant(np.asarray(axes, np.int64)))
    else:
        attributes["axes"] = axes  # type: ignore[assignment]
    e.bind(out, e.emit(op, operands, out, left, attributes), left)


def arg_reduce(e: Emitter, equation: Any) -> None:
    """Emit ArgMin or ArgMax, whose first hit wins as in JAX, and a Cast from its int64."""
    source, (out,) = equation.invars[0], equation.outvars
    order = e.order_of(source)
    (axis,) = equation.params["axes"]
    left = remaining(order, (axis,))
    op = {"argmin": "ArgMin", "argmax": "ArgMax"}[equation.primitive.name]
    attributes = {"axis": order.index(axis), "keepdims": 0}
    value = e.graph.node(op, [e.read(source, order)], permuted(shape_of(out), left), np.int64, attributes)
    target = int(ir.DataType.from_numpy(np.dtype(out.aval.dtype)))
    e.bind(out, e.emit("Cast", [value], out, left, {"to": target}), left)


def dot_general(e: Emitter, equation: Any) -> None:
    """Emit MatMul on operands brought to [batch..., rows, contracted] and [batch..., contracted, columns].

    A product with a weight of integers is written in the dialect's form of that.
    """
    (left, right), (out,) = equation.invars, equation.outvars
    quantised = e.rule_of("quantised_dot")
    if quantised is not None and is_quantised_product(e, equation):
        quantised(e, equation)
        return
    (left_sum, right_sum), (left_batch, right_batch) = equation.params["dimension_numbers"]
    left_free, right_free = free(left, left_sum, left_batch), free(right, right_sum, right_batch)
    plain_rows = len(left_free) == 1 or (bool(left_free) and not right_batch)
    operands = [
        _matrix(e, left, (left_batch, left_free, left_sum), (False, not plain_rows, True), out.aval.dtype),
        _matrix(e, right, (right_batch, right_sum, right_free), (False, True, True), out.aval.dtype),
    ]
    batch = permuted(shape_of(left), left_batch)
    rows = permuted(shape_of(left), left_free) if plain_rows else (_size(left, left_free),)
    shape = (*batch, *rows, _size(right, right_free))
    bind_product(e, out, e.graph.node("MatMul", operands, shape, out.aval.dtype), shape)


def is_quantised_product(e: Emitter, equation: Any) -> bool:
    """Return whether a product adds up over the groups of a weight [inputs, outputs] that is stored as integers."""
    found = e.quantised(equation.invars[1])
    (left_sum, right_sum), batch = equation.params["dimension_numbers"]
    plain = tuple(right_sum) == (0,) and len(left_sum) == 1 and not any(batch)
    return found is not None and plain and len(equation.invars[1].aval.shape) == 2 and found.grouped == 0


def rows_of(e: Emitter, equation: Any) -> tuple[ir.Value, tuple[Dim, ...]]:
    """Return what is multiplied with a matrix, [..., contracted], and the shape of the result."""
    (left, right), (out,) = equation.invars, equation.outvars
    (left_sum, _), _ = equation.params["dimension_numbers"]
    left_free = free(left, left_sum, ())
    rows = _matrix(e, left, ((), left_free, left_sum), (False, False, True), out.aval.dtype)
    return rows, (*permuted(shape_of(left), left_free), *shape_of(right)[1:])


def bind_product(e: Emitter, out: Any, value: ir.Value, shape: Sequence[Dim]) -> None:
    """Record the result of a product."""
    e.bind(out, e.reshaped(value, shape, shape_of(out), out.aval.dtype), identity(len(out.aval.shape)))


def cumulate(e: Emitter, equation: Any) -> None:
    """Emit CumSum."""
    source, (out,) = equation.invars[0], equation.outvars
    order = e.order_of(source)
    axis = e.graph.constant(np.asarray(order.index(equation.params["axis"]), np.int64))
    attributes = {"reverse": int(equation.params["reverse"])}
    e.bind(out, e.emit("CumSum", [e.read(source, order), axis], out, order, attributes), order)


def free(atom: Any, summed: Sequence[int], batch: Sequence[int]) -> tuple[int, ...]:
    """Return the axes of an operand that are neither contracted nor batch axes."""
    return tuple(axis for axis in range(len(atom.aval.shape)) if axis not in (*summed, *batch))


def remaining(order: Order, gone: Sequence[int]) -> Order:
    """Return the axis order of what is left when logical axes disappear."""
    kept = [axis for axis in order if axis not in gone]
    return tuple(sorted(kept).index(axis) for axis in kept)


def _matrix(
    e: Emitter, atom: Any, groups: tuple[Sequence[int], ...], merge: tuple[bool, ...], dtype: np.dtype[Any]
) -> ir.Value:
    """Return an operand with its axes grouped, each group that is to be merged as one axis, in the result's dtype."""
    order = tuple(axis for group in groups for axis in group)
    shape: list[Dim] = []
    for group, merged in zip(groups, merge, strict=True):
        shape.extend([_size(atom, group)] if merged else permuted(shape_of(atom), tuple(group)))
    if e.is_runtime(atom):
        value = e.reshaped(e.read(atom, order), permuted(shape_of(atom), order), shape, atom.aval.dtype)
    else:
        value = e.constant(atom, order, [int(size) for size in shape])
    return e.cast(value, shape, atom.aval.dtype, dtype)


def _size(atom: Any, axes: Sequence[int]) -> Dim:
    """Return the number of elements over some axes of an atom."""
    size = prod(atom.aval.shape[axis] for axis in axes)
    return size if isinstance(size, int) else str(size)


RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(_REDUCTIONS, reduce),
    "argmax": arg_reduce,
    "argmin": arg_reduce,
    "cumsum": cumulate,
    "dot_general": dot_general,
}
