"""Rules for arithmetic on single elements."""

from typing import Any, Final

import numpy as np

from lwmport.converters.saved_model.emitter import Emitter, Rule
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import shape_of

_UNARY: Final = {
    "abs": "Abs",
    "ceil": "Ceil",
    "cos": "Cos",
    "erf": "Erf",
    "exp": "Exp",
    "floor": "Floor",
    "log": "Log",
    "logistic": "Sigmoid",
    "neg": "Neg",
    "rsqrt": "Rsqrt",
    "sign": "Sign",
    "sin": "Sin",
    "sqrt": "Sqrt",
    "square": "Square",
    "tanh": "Tanh",
}
"""Primitives of one operand that are one TensorFlow operator with the same meaning -> that operator."""

_BINARY: Final = {
    "eq": "Equal",
    "ge": "GreaterEqual",
    "gt": "Greater",
    "le": "LessEqual",
    "lt": "Less",
    "max": "Maximum",
    "min": "Minimum",
    "mul": "Mul",
    "ne": "NotEqual",
    "sub": "Sub",
}
"""The same for two operands."""

_LOGICAL: Final = {"and": "LogicalAnd", "not": "LogicalNot", "or": "LogicalOr"}


def unary(e: Emitter, equation: Any) -> None:
    """Emit the one operator of a primitive."""
    operator = getattr(e.ops, _UNARY[equation.primitive.name])
    e.bind_only(equation, operator(x=e.read(equation.invars[0])))


def binary(e: Emitter, equation: Any) -> None:
    """Emit the one operator of a primitive; TensorFlow broadcasts as JAX does."""
    operator = getattr(e.ops, _BINARY[equation.primitive.name])
    x, y = (e.read(atom) for atom in equation.invars)
    e.bind_only(equation, operator(x=x, y=y))


def add(e: Emitter, equation: Any) -> None:
    """Emit BiasAdd for a known vector over the last axis, which runtimes fuse, and AddV2 for all else."""
    for value, other in (equation.invars, equation.invars[::-1]):
        bias = e.per_channel(other)
        if bias is not None and shape_of(value) == shape_of(equation.outvars[0]) and len(shape_of(value)) > 1:
            e.bind_only(equation, e.ops.BiasAdd(value=e.read(value), bias=e.read(bias)))
            return
    x, y = (e.read(atom) for atom in equation.invars)
    e.bind_only(equation, e.ops.AddV2(x=x, y=y))


def divide(e: Emitter, equation: Any) -> None:
    """Emit RealDiv, or TruncateDiv between integers, which JAX rounds towards zero."""
    x, y = (e.read(atom) for atom in equation.invars)
    operator = e.ops.RealDiv if x.dtype.is_floating else e.ops.TruncateDiv
    e.bind_only(equation, operator(x=x, y=y))


def logical(e: Emitter, equation: Any) -> None:
    """Emit the logical operator; JAX's also works on the bits of integers.

    Raises:
        LoweringError: the operands are integers.
    """
    name = equation.primitive.name
    dtype = equation.outvars[0].aval.dtype
    if dtype != np.bool_:
        raise LoweringError(f"expected the operands of {name!r} to be bool, found {dtype}: bits have no plain operator")
    operands = dict(zip("xy", (e.read(atom) for atom in equation.invars), strict=False))
    e.bind_only(equation, getattr(e.ops, _LOGICAL[name])(**operands))


def power(e: Emitter, equation: Any) -> None:
    """Emit Pow with both operands in the type of the result."""
    dtype = str(equation.outvars[0].aval.dtype)
    x, y = (e.tf.cast(e.read(atom), dtype) for atom in equation.invars)
    e.bind_only(equation, e.ops.Pow(x=x, y=y))


def integer_power(e: Emitter, equation: Any) -> None:
    """Emit Square for the power 2, and Pow for any other constant one."""
    value, exponent = e.read(equation.invars[0]), equation.params["y"]
    if exponent == 2:
        e.bind_only(equation, e.ops.Square(x=value))
        return
    e.bind_only(equation, e.ops.Pow(x=value, y=e.constant(exponent, value.dtype)))


def clamp(e: Emitter, equation: Any) -> None:
    """Emit Maximum and Minimum."""
    low, value, high = (e.read(atom) for atom in equation.invars)
    e.bind_only(equation, e.ops.Minimum(x=e.ops.Maximum(x=value, y=low), y=high))


def convert(e: Emitter, equation: Any) -> None:
    """Emit a Cast, or nothing where only JAX's weak typing changes."""
    value, dtype = e.read(equation.invars[0]), str(equation.outvars[0].aval.dtype)
    same = value.dtype == e.tf.as_dtype(dtype)
    e.bind_only(equation, value if same else e.ops.Cast(x=value, DstT=dtype))


def select(e: Emitter, equation: Any) -> None:
    """Emit SelectV2 for a choice between two; JAX lists the value for False first.

    Raises:
        LoweringError: the choice is by an integer.
    """
    if equation.invars[0].aval.dtype != np.bool_:
        raise LoweringError(f"expected a choice by bool, found one by {equation.invars[0].aval.dtype} (select_n)")
    condition, if_false, if_true = (e.read(atom) for atom in equation.invars)
    e.bind_only(equation, e.ops.SelectV2(condition=condition, t=if_true, e=if_false))


def copy(e: Emitter, equation: Any) -> None:
    """Emit nothing: the result is the operand."""
    e.bind_only(equation, e.read(equation.invars[0]))


RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(_UNARY, unary),
    **dict.fromkeys(_BINARY, binary),
    **dict.fromkeys(_LOGICAL, logical),
    "add": add,
    "clamp": clamp,
    "convert_element_type": convert,
    "copy": copy,
    "div": divide,
    "integer_pow": integer_power,
    "pow": power,
    "select_n": select,
    "stop_gradient": copy,
}
