"""A jaxpr without calls, and otherwise as it was traced: each equation as it stands, nothing computed or folded."""

from collections.abc import Sequence
from typing import Any, Final

import jax
import numpy as np
from jax.extend import core

CALLS: Final = {
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
}
"""Primitives that only call a jaxpr -> the parameter that holds it."""


def called(equation: Any) -> core.ClosedJaxpr | None:
    """Return the jaxpr that an equation only calls, and None for an equation that does something itself."""
    if equation.primitive.name not in CALLS:
        return None
    inner = equation.params[CALLS[equation.primitive.name]]
    return inner if isinstance(inner, core.ClosedJaxpr) else core.ClosedJaxpr(inner, ())


def without_calls(closed: core.ClosedJaxpr) -> core.ClosedJaxpr:
    """Return an equal program in which every call is replaced by what it calls.

    Composites stay whole, and so do the bodies of loops and branches.
    """
    avals = [jax.ShapeDtypeStruct(var.aval.shape, var.aval.dtype) for var in closed.jaxpr.invars]
    return jax.make_jaxpr(lambda *args: _run(closed, args))(*avals)


def bound(equation: Any, operands: Sequence[Any], **changed: Any) -> list[Any]:
    """Return the results of one equation on other operands, with some of its parameters changed."""
    params = equation.primitive.get_bind_params({**equation.params, **changed})
    found = equation.primitive.bind(*operands, **params)
    return list(found) if equation.primitive.multiple_results else [found]


def _run(closed: core.ClosedJaxpr, args: Sequence[Any]) -> list[Any]:
    values: dict[Any, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    values.update(zip(closed.jaxpr.invars, args, strict=True))
    for equation in closed.jaxpr.eqns:
        operands = [read(atom, values) for atom in equation.invars]
        with jax.named_scope(str(equation.source_info.name_stack)):
            inner = called(equation)
            results = bound(equation, operands) if inner is None else _run(inner, operands)
        values.update(zip(equation.outvars, results, strict=True))
    return [read(atom, values) for atom in closed.jaxpr.outvars]


def read(atom: Any, values: dict[Any, Any]) -> Any:
    """Return the value of a variable; a literal brings its own, in the dtype of the program."""
    return np.asarray(atom.val, atom.aval.dtype) if hasattr(atom, "val") else values[atom]
