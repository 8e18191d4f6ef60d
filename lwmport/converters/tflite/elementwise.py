"""Rules for arithmetic on single elements. Thin operands stay thin: TFLite's operators broadcast by themselves."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from lwmport.converters.tflite.emitter import Emitter, Rule
from lwmport.converters.tflite.graph import Tensor
from lwmport.converters.tflite.half import computed
from lwmport.converters.tflite.sizes import broadcast
from lwmport.errors import LoweringError

_SIMPLE: Final = {
    "abs": "ABS",
    "add": "ADD",
    "ceil": "CEIL",
    "cos": "COS",
    "div": "DIV",
    "eq": "EQUAL",
    "exp": "EXP",
    "floor": "FLOOR",
    "ge": "GREATER_EQUAL",
    "gt": "GREATER",
    "le": "LESS_EQUAL",
    "log": "LOG",
    "logistic": "LOGISTIC",
    "lt": "LESS",
    "max": "MAXIMUM",
    "min": "MINIMUM",
    "mul": "MUL",
    "ne": "NOT_EQUAL",
    "neg": "NEG",
    "pow": "POW",
    "rsqrt": "RSQRT",
    "sign": "SIGN",
    "sin": "SIN",
    "sqrt": "SQRT",
    "sub": "SUB",
    "tanh": "TANH",
}
"""Primitives that are one TFLite operator with the same meaning -> that operator."""

_LOGICAL: Final = {"and": "LOGICAL_AND", "not": "LOGICAL_NOT", "or": "LOGICAL_OR"}
"""The same for booleans; for integers JAX means bits."""

_TO_NEAREST_EVEN: Final = 1
"""``jax.lax.RoundingMethod.TO_NEAREST_EVEN``."""

_CLAMPS: Final = {(-1.0, 1.0): "RELU_N1_TO_1", (0.0, 6.0): "RELU6"}
"""Bounds that are one TFLite operator, which XNNPACK fuses into the operator before."""


def simple(e: Emitter, equation: Any) -> None:
    """Emit the one operator of a primitive."""
    elementwise(e, _SIMPLE[equation.primitive.name], [e.thin(atom) for atom in equation.invars], equation.outvars[0])


def logical(e: Emitter, equation: Any) -> None:
    """Emit the one operator of a primitive on booleans."""
    (out,) = equation.outvars
    if str(out.aval.dtype) != "bool":
        raise LoweringError(f"expected booleans for {equation.primitive.name!r}, found bits of {out.aval.dtype}")
    elementwise(e, _LOGICAL[equation.primitive.name], [e.thin(atom) for atom in equation.invars], out)


def elementwise(e: Emitter, op: str, operands: Sequence[Tensor], out: Any) -> None:
    """Emit an operator over operands that broadcast, and bind its result, thin where all operands are."""
    e.bind(out, combine(e, op, operands, out.aval.dtype))


def combine(e: Emitter, op: str, operands: Sequence[Tensor], dtype: Any = None) -> Tensor:
    """Return the result of an operator over operands that broadcast; its dtype is the first operand's by default."""
    shape = operands[0].shape
    for operand in operands[1:]:
        shape = broadcast(shape, operand.shape)
    return e.graph.operation(op, operands, shape, dtype or operands[0].dtype)


def square(e: Emitter, equation: Any) -> None:
    """Emit x * x."""
    value = e.thin(equation.invars[0])
    elementwise(e, "MUL", [value, value], equation.outvars[0])


def integer_pow(e: Emitter, equation: Any) -> None:
    """Emit x * x for a square, and POW for any other constant power."""
    if equation.params["y"] == 2:
        square(e, equation)
        return
    (out,) = equation.outvars
    power = e.graph.constant(np.asarray(equation.params["y"], out.aval.dtype))
    elementwise(e, "POW", [e.thin(equation.invars[0]), power], out)


def round_(e: Emitter, equation: Any) -> None:
    """Emit ROUND, which rounds halves to even."""
    if int(equation.params["rounding_method"]) != _TO_NEAREST_EVEN:
        raise LoweringError("expected round half to even, found round half away from zero: TFLite has no operator")
    elementwise(e, "ROUND", [e.thin(equation.invars[0])], equation.outvars[0])


def clip(e: Emitter, equation: Any) -> None:
    """Emit one operator for bounds that have one, where only min(high, .) reads max(low, x); MAXIMUM elsewhere."""
    reader = e.sole_reader(equation.outvars[0])
    low, value = e.scalar_and_other(equation)
    high, _ = e.scalar_and_other(reader) if reader is not None and reader.primitive.name == "min" else (None, None)
    if low is None or high is None or (low, high) not in _CLAMPS or str(value.aval.dtype) != "float32":
        simple(e, equation)
        return
    e.absorb(reader)
    elementwise(e, _CLAMPS[low, high], [e.thin(value)], reader.outvars[0])


def clamp(e: Emitter, equation: Any) -> None:
    """Emit MAXIMUM and MINIMUM; JAX lists the lower bound, the value and the upper bound."""
    low, value, high = (e.thin(atom) for atom in equation.invars)
    raised = combine(e, "MAXIMUM", [value, low])
    elementwise(e, "MINIMUM", [raised, high], equation.outvars[0])


def convert(e: Emitter, equation: Any) -> None:
    """Emit CAST, or nothing where only JAX's weak typing changes, or float16 to float32, which are one inside."""
    (source,), (out,) = equation.invars, equation.outvars
    value = e.thin(source)
    e.bind(out, e.cast(value, computed(out.aval.dtype)))


def select(e: Emitter, equation: Any) -> None:
    """Emit SELECT_V2 for a choice between two; JAX lists the value for False first."""
    which, *cases = equation.invars
    if str(which.aval.dtype) != "bool" or len(cases) != 2:
        raise LoweringError(f"expected a choice between two by truth values, found {len(cases)} by {which.aval.dtype}")
    condition, if_false, if_true = (e.thin(atom) for atom in equation.invars)
    (out,) = equation.outvars
    elementwise(e, "SELECT_V2", [condition, if_true, if_false], out)


def copy(e: Emitter, equation: Any) -> None:
    """Emit nothing: the result is the operand."""
    e.bind(equation.outvars[0], e.thin(equation.invars[0]))


RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(_SIMPLE, simple),
    **dict.fromkeys(_LOGICAL, logical),
    "clamp": clamp,
    "convert_element_type": convert,
    "copy": copy,
    "integer_pow": integer_pow,
    "max": clip,
    "round": round_,
    "select_n": select,
    "square": square,
    "stop_gradient": copy,
}
