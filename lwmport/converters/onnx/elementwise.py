"""Rules for arithmetic on single elements. They follow whatever axis order their operands have."""

from typing import Any, Final

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx.emitter import Emitter, Order, Rule, identity, permuted
from lwmport.errors import LoweringError

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
    if dtype == np.bool_:
        emit_operator(e, equation, op)
    elif e.graph.opset >= BITWISE_SINCE:
        emit_operator(e, equation, f"Bitwise{op}")
    else:
        raise LoweringError(f"expected opset {BITWISE_SINCE} for Bitwise{op} on {dtype}, found {e.graph.opset}")


def emit_operator(e: Emitter, equation: Any, op: str) -> None:
    """Emit one operator on all operands of an equation."""
    order = common_order(e, equation)
    operands = [operand(e, atom, equation, order) for atom in equation.invars]
    (out,) = equation.outvars
    e.bind(out, e.emit(op, operands, out, order), order)


def rsqrt(e: Emitter, equation: Any) -> None:
    """Emit 1 / sqrt(x)."""
    (out,) = equation.outvars
    order = common_order(e, equation)
    root = e.emit("Sqrt", [e.read(equation.invars[0], order)], out, order)
    e.bind(out, e.emit("Reciprocal", [root], out, order), order)


def square(e: Emitter, equation: Any) -> None:
    """Emit x * x."""
    (out,) = equation.outvars
    order = common_order(e, equation)
    value = e.read(equation.invars[0], order)
    e.bind(out, e.emit("Mul", [value, value], out, order), order)


def integer_pow(e: Emitter, equation: Any) -> None:
    """Emit x * x for a square, and Pow for any other constant power."""
    if equation.params["y"] == 2:
        square(e, equation)
        return
    (out,) = equation.outvars
    order = common_order(e, equation)
    power = e.graph.constant(np.asarray(equation.params["y"], out.aval.dtype))
    e.bind(out, e.emit("Pow", [e.read(equation.invars[0], order), power], out, order), order)


def clip(e: Emitter, equation: Any) -> None:
    """Emit one Clip for max(low, x) that only min(high, .) reads, and Max for any other maximum."""
    reader = e.sole_reader(equation.outvars[0])
    low, value = _bound_and_value(e, equation)
    high, _ = _bound_and_value(e, reader) if reader is not None and reader.primitive.name == "min" else (None, None)
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
    order = e.order_of(source)
    value = e.read(source, order)
    if source.aval.dtype != out.aval.dtype:
        target = ir.DataType.from_numpy(np.dtype(out.aval.dtype))
        value = e.emit("Cast", [value], out, order, {"to": int(target)})
    e.bind(out, value, order)


def select(e: Emitter, equation: Any) -> None:
    """Emit Where for a choice between two; JAX lists the value for False first."""
    (out,) = equation.outvars
    which, *cases = equation.invars
    if which.aval.dtype != np.bool_ or len(cases) != 2:
        raise LoweringError(f"expected a choice between two by truth values, found {len(cases)} by {which.aval.dtype}")
    order = common_order(e, equation)
    condition, if_false, if_true = (operand(e, atom, equation, order) for atom in equation.invars)
    e.bind(out, e.emit("Where", [condition, if_true, if_false], out, order), order)


def copy(e: Emitter, equation: Any) -> None:
    """Emit nothing: the result is the operand."""
    order = e.order_of(equation.invars[0])
    e.bind(equation.outvars[0], e.read(equation.invars[0], order), order)


def common_order(e: Emitter, equation: Any) -> Order:
    """Return the axis order in which most operands of full rank exist already, for each other costs a transpose."""
    rank = len(equation.outvars[0].aval.shape)
    wide = [atom for atom in equation.invars if e.is_runtime(atom) and len(atom.aval.shape) == rank]
    votes = [order for atom in wide for order in e.orders(atom)]
    return max(votes, key=votes.count, default=identity(rank))


def operand(e: Emitter, atom: Any, equation: Any, order: Order) -> ir.Value:
    """Return an operand of an elementwise equation, ready for broadcasting.

    Beside a value of full rank constants lose their leading axes of size 1, for a channel's constant reads [c, 1, 1]
    wherever it is used.
    """
    rank = len(atom.aval.shape)
    if rank != len(order):
        return e.read(atom, identity(rank))
    if e.is_runtime(atom):
        return e.read(atom, order)
    shape = list(permuted(atom.aval.shape, order))
    beside_full_rank = any(e.is_runtime(other) and len(other.aval.shape) == rank for other in equation.invars)
    while beside_full_rank and shape and shape[0] == 1:
        shape.pop(0)
    return e.constant(atom, order, shape)


def _bound_and_value(e: Emitter, equation: Any) -> tuple[float | None, Any]:
    """Return the constant scalar among two operands and the other operand."""
    first, second = equation.invars
    for bound, value in ((first, second), (second, first)):
        number = e.scalar(bound)
        if number is not None:
            return number, value
    return None, None


RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(_LOGIC, logic),
    **dict.fromkeys(_SIMPLE, simple),
    "convert_element_type": convert,
    "copy": copy,
    "integer_pow": integer_pow,
    "max": clip,
    "rsqrt": rsqrt,
    "select_n": select,
    "square": square,
    "stop_gradient": copy,
}
