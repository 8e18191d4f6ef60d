"""Partial evaluation: calls inlined, what needs no input computed, dead code gone. Composites stay whole."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias, cast

import jax
import numpy as np
from jax.extend import core

from lwmport.graphs.atoms import composite_name, has_static_results, is_literal, is_random
from lwmport.graphs.evaluate import evaluate

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


Keep: TypeAlias = Callable[[Any], bool]


def simplify(closed: core.ClosedJaxpr, keep: Keep = lambda _: True) -> core.ClosedJaxpr:
    """Return an equal program without calls, without foldable constants and without unused equations.

    A composite equation that ``keep`` refuses is replaced by its decomposition.
    """
    avals = [jax.ShapeDtypeStruct(var.aval.shape, var.aval.dtype) for var in closed.jaxpr.invars]
    return _prune(jax.make_jaxpr(lambda *args: _interpret(closed, args, keep))(*avals))


def _interpret(closed: core.ClosedJaxpr, args: Sequence[Any], keep: Keep) -> list[Any]:
    """Run a jaxpr on tracers and known arrays, so that tracing it anew writes it without calls."""
    values: dict[Any, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    values.update(zip(closed.jaxpr.invars, args, strict=True))
    for equation in closed.jaxpr.eqns:
        operands = [_read(atom, values) for atom in equation.invars]
        with jax.named_scope(str(equation.source_info.name_stack)):
            results = _apply(equation, operands, keep)
        values.update(zip(equation.outvars, results, strict=True))
    return [_read(atom, values) for atom in closed.jaxpr.outvars]


def _read(atom: Any, values: dict[Any, Any]) -> Any:
    return np.asarray(atom.val, atom.aval.dtype) if is_literal(atom) else values[atom]


def _apply(equation: Any, operands: list[Any], keep: Keep) -> Sequence[Any]:
    """Return the results of one equation: inlined, computed, or bound again."""
    params = dict(equation.params)
    inner = _called(equation, keep)
    if inner is not None:
        return _interpret(inner, operands, keep)
    if not any(isinstance(operand, jax.core.Tracer) for operand in operands) and _foldable(equation):
        return evaluate(equation, [np.asarray(operand) for operand in operands])
    if composite_name(equation):
        params["jaxpr"] = simplify(params["jaxpr"], keep)
    results = equation.primitive.bind(*operands, **params)
    return cast("Sequence[Any]", results) if equation.primitive.multiple_results else [results]


def _called(equation: Any, keep: Keep) -> core.ClosedJaxpr | None:
    """Return the jaxpr that an equation merely calls, and None for an equation that does something itself."""
    name = equation.primitive.name
    if composite_name(equation) and not keep(equation):
        inner = equation.params["jaxpr"]
    elif name in CALLS:
        inner = equation.params[CALLS[name]]
    else:
        return None
    return inner if isinstance(inner, core.ClosedJaxpr) else core.ClosedJaxpr(inner, ())


def _foldable(equation: Any) -> bool:
    """Return whether the results are small, of known size and the same every time."""
    if is_random(equation):
        return False
    return has_static_results(equation) and sum(var.aval.size for var in equation.outvars) <= FOLD_LIMIT


FOLD_LIMIT: Final = 2**20
"""Largest result, in elements, that is computed while tracing; larger ones are computed when they are written."""


def _prune(closed: core.ClosedJaxpr) -> core.ClosedJaxpr:
    """Return the program without equations whose results nobody reads."""
    needed = {atom for atom in closed.jaxpr.outvars if not is_literal(atom)}
    kept = []
    for equation in reversed(closed.jaxpr.eqns):
        if equation.effects or needed.intersection(equation.outvars):
            kept.append(equation)
            needed.update(atom for atom in equation.invars if not is_literal(atom))
    return cast("core.ClosedJaxpr", closed.replace(jaxpr=closed.jaxpr.replace(eqns=kept[::-1])))
