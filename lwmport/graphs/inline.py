"""A jaxpr without calls, and otherwise as it was traced: each equation as it stands, nothing computed or folded."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.extend import core

from lwmport.graphs.atoms import value_of
from lwmport.graphs.simplify import called, prune


def inline(closed: core.ClosedJaxpr) -> core.ClosedJaxpr:
    """Return an equal program in which every call is replaced by what it calls; what nobody reads is left out.

    Composites stay whole, and so do the bodies of loops and branches.
    """
    avals = [jax.ShapeDtypeStruct(var.aval.shape, var.aval.dtype) for var in closed.jaxpr.invars]
    return prune(jax.make_jaxpr(lambda *args: _run(closed, args))(*avals))


def _run(closed: core.ClosedJaxpr, args: Sequence[Any]) -> list[Any]:
    values: dict[Any, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    values.update(zip(closed.jaxpr.invars, args, strict=True))
    for equation in closed.jaxpr.eqns:
        operands = [value_of(atom, values) for atom in equation.invars]
        with jax.named_scope(str(equation.source_info.name_stack)):
            results = _results(equation, operands)
        values.update(zip(equation.outvars, results, strict=True))
    return [value_of(atom, values) for atom in closed.jaxpr.outvars]


def _results(equation: Any, operands: Sequence[Any]) -> Sequence[Any]:
    inner = called(equation)
    if inner is not None:
        return _run(inner, operands)
    found = equation.primitive.bind(*operands, **equation.primitive.get_bind_params(equation.params))
    return list(found) if equation.primitive.multiple_results else [found]
