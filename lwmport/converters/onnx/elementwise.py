"""Rules for arithmetic on single elements. They follow whatever axis order their operands have."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx.bindings import Order
from lwmport.converters.onnx.emitter import Emitter, Rule, identity, permuted
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import is_literal, shape_of
from lwmport.types import Dim

_SIMPLE: Final = {
    "abs": "Abs",
    "add": "Add",
    "ceil": "Ceil",
    "cos": "Cos",
    "div": "Div",
    "eq": "Equal",
    "erf": "Erf",
    "exp": "Exp",
    "floor": "Floor",
    "ge": "GreaterOrEqual",
    "gt": "Greater",
    "le": "LessOrEqual",
    "log": "Log",
    "logistic": "Sigmoid",
    "lt": "Less",
    "max": "Max",
    "min": "Min",
    "mul": "Mul",
    "neg": "Neg",
    "pow": "Pow",
    "sign": "Sign",
    "sin": "Sin",
    "sqrt": "Sqrt",
    "sub": "Sub",
    "tanh": "Tanh",
}
"""Primitives that are one ONNX operator with the same meaning -> that operator."""

TO_EVEN: Final = 1
"""JAX's number of the method that takes ties to the even neighbour (`jax.lax.RoundingMethod`)."""

_LOGIC: Final = {"and": "And", "not": "Not", "or": "Or"}
"""Primitives that JAX has for truth values and bits alike -> the operator for truth values."""

BITWISE_SINCE: Final = 18
"""First opset with BitwiseAnd, BitwiseNot and BitwiseOr."""


def simple(e: Emitter, equation: Any) -> None:
    """Emit the one operator of a primitive, on operands brought to one axis order."""
    emit_operator(e, equation, _SIMPLE[equation.primitive.name])


def logic(e: Emitter, equation: Any) -> None:
    """Emit And, Or or Not for truth values, and its bitwise twin for integers."""
    op, dtype = _LOGIC[equation.primitive.name], equation.outvars[0].aval.dtype
    low_bits = _low_bits(e, equation) if op == "And" and dtype != np.bool_ else None
    if dtype == np.bool_:
        emit_operator(e, equation, op)
    elif low_bits is not None:
        value, size = low_bits
        e.bind(equation.outvars[0], _remainder(e, value, size), identity(len(value.aval.shape)))
    elif e.graph.opset >= BITWISE_SINCE:
        emit_operator(e, equation, f"Bitwise{op}")
    else:
        raise LoweringError(f"expected opset {BITWISE_SINCE} for Bitwise{op} on {dtype}, found {e.graph.opset}")


def shift_right(e: Emitter, equation: Any) -> None:
    """Emit the exact division of what the low bits leave: BitShift reads no signed integers."""
    (value, count), (out,) = equation.invars, equation.outvars
    bits = e.scalar(count)
    if bits is None or value.aval.dtype.kind != "i":
        raise LoweringError(f"expected signed integers shifted by a known number, found {value.aval.dtype}")
    size = 1 << int(bits)
    left = e.emit("Sub", [e.read(value), _remainder(e, value, size)], out)
    whole = e.emit("Div", [left, e.graph.constant(np.asarray(size, out.aval.dtype))], out)
    e.bind(out, whole, identity(len(out.aval.shape)))


def _low_bits(e: Emitter, equation: Any) -> tuple[Any, int] | None:
    """Return the value and 2^k where the low k bits of a value are taken, which is its remainder."""
    mask, value = e.scalar_and_other(equation)
    size = 0 if mask is None else int(mask) + 1
    return (value, size) if size > 1 and size & (size - 1) == 0 and value.aval.dtype.kind == "i" else None


def _remainder(e: Emitter, value: Any, size: int) -> ir.Value:
    """Return the remainder after dividing by a power of two, which is not negative, once for all who ask."""
    key = ("remainder", value, size)
    if key not in e.notes:
        divisor = e.graph.constant(np.asarray(size, value.aval.dtype))
        e.notes[key] = e.emit("Mod", [e.read(value), divisor], value)
    found: ir.Value = e.notes[key]
    return found


def not_equal(e: Emitter, equation: Any) -> None:
    """Emit a Cast to truth values for "not zero", and Equal and Not for any other comparison."""
    (out,) = equation.outvars
    number, value = e.scalar_and_other(equation)
    if number == 0 and e.is_runtime(value) and shape_of(value) == shape_of(out):
        order = e.order_of(value)
        e.bind(out, e.cast(e.read(value, order), permuted(shape_of(out), order), value.aval.dtype, np.bool_), order)
        return
    order, operands = brought(e, equation)
    e.bind(out, e.emit("Not", [e.emit("Equal", operands, out, order)], out, order), order)


def emit_operator(e: Emitter, equation: Any, op: str) -> None:
    """Emit one operator on all operands of an equation."""
    order, operands = brought(e, equation)
    (out,) = equation.outvars
    e.bind(out, e.emit(op, operands, out, order), order)


def rsqrt(e: Emitter, equation: Any) -> None:
    """Emit 1 / sqrt(x)."""
    (out,) = equation.outvars
    order, operands = brought(e, equation)
    root = e.emit("Sqrt", operands, out, order)
    e.bind(out, e.emit("Reciprocal", [root], out, order), order)


def square(e: Emitter, equation: Any) -> None:
    """Emit x * x."""
    (out,) = equation.outvars
    order, (value,) = brought(e, equation)
    e.bind(out, e.emit("Mul", [value, value], out, order), order)


def integer_pow(e: Emitter, equation: Any) -> None:
    """Emit x * x for a square, and Pow for any other constant power."""
    if equation.params["y"] == 2:
        square(e, equation)
        return
    (out,) = equation.outvars
    order, (value,) = brought(e, equation)
    power = e.graph.constant(np.asarray(equation.params["y"], out.aval.dtype))
    e.bind(out, e.emit("Pow", [value, power], out, order), order)


def clip(e: Emitter, equation: Any) -> None:
    """Emit one Clip for max(low, x) that only min(high, .) reads, and Max for any other maximum."""
    reader = e.sole_reader(equation.outvars[0])
    low, value = e.scalar_and_other(equation)
    high, _ = e.scalar_and_other(reader) if reader is not None and reader.primitive.name == "min" else (None, None)
    if low is None or high is None or value is None or not e.is_runtime(value):
        simple(e, equation)
        return
    e.absorb(reader)
    (out,) = reader.outvars
    order = e.order_of(value)
    bounds = [e.graph.constant(np.asarray(bound, out.aval.dtype)) for bound in (low, high)]
    e.bind(out, e.emit("Clip", [e.read(value, order), *bounds], out, order), order)


def convert(e: Emitter, equation: Any) -> None:
    """Emit a Cast, or nothing where only JAX's weak typing changes."""
    (source,), (out,) = equation.invars, equation.outvars
    e.notes["truth", out] = source

    def make() -> tuple[ir.Value, Order]:
        order = e.order_of(source)
        value = e.read(source, order)
        return e.cast(value, permuted(shape_of(out), order), source.aval.dtype, out.aval.dtype), order

    e.defer(out, make)


def select(e: Emitter, equation: Any) -> None:
    """Emit Where for a choice between two; JAX lists the value for False first."""
    (out,) = equation.outvars
    which, *cases = equation.invars
    if which.aval.dtype != np.bool_ or len(cases) != 2:
        raise LoweringError(f"expected a choice between two by truth values, found {len(cases)} by {which.aval.dtype}")
    order, (condition, if_false, if_true) = brought(e, equation)
    e.bind(out, e.emit("Where", [condition, if_true, if_false], out, order), order)


def copy(e: Emitter, equation: Any) -> None:
    """Emit nothing: the result is the operand."""
    order = e.order_of(equation.invars[0])
    e.bind(equation.outvars[0], e.read(equation.invars[0], order), order)


def brought(e: Emitter, equation: Any) -> tuple[Order, list[ir.Value]]:
    """Return an axis order and every operand of an elementwise equation in it, ready for broadcasting."""
    shape = shape_of(equation.outvars[0])
    repeated = [e.notes.get(("small", atom)) if e.is_runtime(atom) else None for atom in equation.invars]
    shapes = [
        small.shape if small else _own_shape(e, atom) for small, atom in zip(repeated, equation.invars, strict=True)
    ]
    if not _covers(shapes, shape):
        repeated = [None] * len(repeated)
    whole = [atom for atom, small in zip(equation.invars, repeated, strict=True) if small is None]
    order = common_order(e, whole, len(shape))
    operands = [
        small.read(order) if small else operand(e, atom, equation, order)
        for atom, small in zip(equation.invars, repeated, strict=True)
    ]
    return order, operands


def _own_shape(e: Emitter, atom: Any) -> Sequence[Dim]:
    """Return the shape in which an operand is read: a constant that repeats counts as small."""
    if e.is_runtime(atom) or is_literal(atom) or e.program.known.root(atom) is not None:
        return shape_of(atom)
    return e.condensed(atom).shape


def _covers(shapes: Sequence[Sequence[Dim]], shape: Sequence[Dim]) -> bool:
    """Return whether operands of these shapes give a result of the shape."""
    return all(
        size == 1 or any(len(own) == len(shape) and own[axis] == size for own in shapes)
        for axis, size in enumerate(shape)
    )


def common_order(e: Emitter, operands: Sequence[Any], rank: int) -> Order:
    """Return the axis order in which most operands of full rank exist already, for each other costs a transpose."""
    wide = [atom for atom in operands if e.is_runtime(atom) and len(atom.aval.shape) == rank]
    votes = [order for atom in wide for order in e.orders(atom)]
    return max(votes, key=votes.count, default=identity(rank))


def operand(e: Emitter, atom: Any, equation: Any, order: Order) -> ir.Value:
    """Return an operand of an elementwise equation, ready for broadcasting.

    Beside a value of full rank constants lose their leading axes of size 1, for a channel's constant reads [c, 1, 1]
    wherever it is used, and what they only repeat.
    """
    rank = len(atom.aval.shape)
    if rank != len(order):
        return e.read(atom, identity(rank))
    if e.is_runtime(atom):
        return e.read(atom, order)
    beside_full_rank = any(
        e.is_runtime(other) and shape_of(other) == shape_of(equation.outvars[0]) for other in equation.invars
    )
    shape = list(permuted(atom.aval.shape, order))
    if not beside_full_rank:
        return e.constant(atom, order, shape)
    if e.program.known.root(atom) is None:
        value = e.condensed(atom).transpose(order)
        return e.graph.constant(value.reshape(_without_leading_ones(value.shape)))
    return e.constant(atom, order, _without_leading_ones(shape))


def _without_leading_ones(shape: Sequence[int]) -> list[int]:
    left = list(shape)
    while left and left[0] == 1:
        left.pop(0)
    return left


def round_to_even(e: Emitter, equation: Any) -> None:
    """Emit Round, which takes ties to the even neighbour.

    Raises:
        LoweringError: ties go away from zero.
    """
    if equation.params["rounding_method"] != TO_EVEN:
        raise LoweringError("expected round to take ties to the even neighbour, found it to take them away from zero")
    emit_operator(e, equation, "Round")


RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(_LOGIC, logic),
    **dict.fromkeys(_SIMPLE, simple),
    "convert_element_type": convert,
    "copy": copy,
    "integer_pow": integer_pow,
    "max": clip,
    "ne": not_equal,
    "round": round_to_even,
    "rsqrt": rsqrt,
    "select_n": select,
    "shift_right_arithmetic": shift_right,
    "square": square,
    "stop_gradient": copy,
}
