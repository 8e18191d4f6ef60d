"""Rules that sum or choose over axes."""

from typing import Any, Final

import numpy as np

from lwmport.converters.tflite.emitter import Emitter, Rule

_REDUCTIONS: Final = {
    "reduce_and": "REDUCE_ALL",
    "reduce_max": "REDUCE_MAX",
    "reduce_min": "REDUCE_MIN",
    "reduce_or": "REDUCE_ANY",
    "reduce_prod": "REDUCE_PROD",
    "reduce_sum": "SUM",
}


def reduce(e: Emitter, equation: Any) -> None:
    """Emit one reduction, or nothing over no axes."""
    source, (out,) = equation.invars[0], equation.outvars
    if not equation.params["axes"]:
        e.bind(out, e.read(source))
        return
    operands = [e.read(source), e.graph.integers(sorted(equation.params["axes"]))]
    e.bind(out, e.emit(_REDUCTIONS[equation.primitive.name], operands, out, {"keepDims": False}))


def arg_reduce(e: Emitter, equation: Any) -> None:
    """Emit ARG_MIN or ARG_MAX, whose first hit wins as in JAX."""
    source, (out,) = equation.invars[0], equation.outvars
    (axis,) = equation.params["axes"]
    op = {"argmin": "ARG_MIN", "argmax": "ARG_MAX"}[equation.primitive.name]
    operands = [e.read(source), e.graph.constant(np.asarray(axis, np.int32))]
    e.bind(out, e.emit(op, operands, out))


def cumulate(e: Emitter, equation: Any) -> None:
    """Emit CUMSUM."""
    source, (out,) = equation.invars[0], equation.outvars
    operands = [e.read(source), e.graph.constant(np.asarray(equation.params["axis"], np.int32))]
    e.bind(out, e.emit("CUMSUM", operands, out, {"exclusive": False, "reverse": bool(equation.params["reverse"])}))


RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(_REDUCTIONS, reduce),
    "argmax": arg_reduce,
    "argmin": arg_reduce,
    "cumsum": cumulate,
}
