"""Partial evaluation: calls inlined, what needs no input computed, dead code gone. Composites stay whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import jax
import numpy as np
from jax.extend import core

from lwmport.graphs.atoms import composite_name, enlarges, has_static_results, is_literal, is_random, is_size, value_of
from lwmport.graphs.evaluate import evaluate
from lwmport.graphs.normalise import normalise
from lwmport.models.calls import called

Keep: TypeAlias = Callable[[Any], bool]
Decompose: TypeAlias = Callable[[Any], core.ClosedJaxpr]


def _own(equation: Any) -> core.ClosedJaxpr:
    return cast("core.ClosedJaxpr", equation.params["jaxpr"])


@dataclass(frozen=True)
class _Wishes:
    """Which composites stay whole, and what the others become."""

    keep: Keep
    decompose: Decompose


def simplify(closed: core.ClosedJaxpr, keep: Keep = lambda _: True, decompose: Decompose = _own) -> core.ClosedJaxpr:
    """Return an equal program without calls, without foldable constants and without unused equations.

    A composite equation that ``keep`` refuses is replaced by what ``decompose`` gives, by default its own
    decomposition. Bodies of loops and branches are simplified too.
    """
    return _simplified(closed, _Wishes(keep, decompose))


def _simplified(closed: core.ClosedJaxpr, wishes: _Wishes) -> core.ClosedJaxpr:
    avals = [jax.ShapeDtypeStruct(var.aval.shape, var.aval.dtype) for var in closed.jaxpr.invars]
    return prune(jax.make_jaxpr(lambda *args: _interpret(closed, args, wishes))(*avals))


def _interpret(closed: core.ClosedJaxpr, args: Sequence[Any], wishes: _Wishes) -> list[Any]:
    """Run a jaxpr on tracers and known arrays, so that tracing it anew writes it without calls."""
    values: dict[Any, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    values.update(zip(closed.jaxpr.invars, args, strict=True))
    for equation in closed.jaxpr.eqns:
        operands = [value_of(atom, values) for atom in equation.invars]
        with jax.named_scope(str(equation.source_info.name_stack)):
            results = _apply(equation, operands, wishes)
        values.update(zip(equation.outvars, results, strict=True))
    return [value_of(atom, values) for atom in closed.jaxpr.outvars]


def _apply(equation: Any, operands: list[Any], wishes: _Wishes) -> Sequence[Any]:
    """Return the results of one equation: inlined, computed, in its usual form, or bound again."""
    inlined = _inlined(equation, operands, wishes)
    if inlined is not None:
        return inlined
    if not any(isinstance(operand, jax.core.Tracer) for operand in operands) and _foldable(equation):
        return evaluate(equation, [np.asarray(operand) for operand in operands])
    usual = normalise(equation, operands)
    if usual is not None:
        return usual
    results = equation.primitive.bind(*operands, **_simplified_inside(equation, wishes))
    return cast("Sequence[Any]", results) if equation.primitive.multiple_results else [results]


def _inlined(equation: Any, operands: list[Any], wishes: _Wishes) -> list[Any] | None:
    """Return the results of an equation that only calls a jaxpr, and None for one that does something itself."""
    name, params = equation.primitive.name, equation.params
    if composite_name(equation) and not wishes.keep(equation):
        return _interpret(wishes.decompose(equation), operands, wishes)
    inner = called(equation)
    if inner is not None:
        return _interpret(inner, operands, wishes)
    if name == "cond" and not isinstance(operands[0], jax.core.Tracer):
        return _interpret(params["branches"][int(operands[0])], operands[1:], wishes)
    if name == "scan" and _is_one(params["length"]):
        return _one_step(params, operands, wishes)
    return None


def _is_one(length: Any) -> bool:
    return isinstance(length, int) and length == 1


def _one_step(params: Any, operands: list[Any], wishes: _Wishes) -> list[Any]:
    """Return the results of a scan over one element: its body."""
    first = params["num_consts"] + params["num_carry"]
    elements = [jax.lax.squeeze(operand, [0]) for operand in operands[first:]]
    found = _interpret(params["jaxpr"], [*operands[:first], *elements], wishes)
    rows = [jax.lax.expand_dims(row, [0]) for row in found[params["num_carry"] :]]
    return [*found[: params["num_carry"]], *rows]


def _simplified_inside(equation: Any, wishes: _Wishes) -> dict[str, Any]:
    """Return the parameters of an equation with every jaxpr among them simplified."""
    params = dict(equation.params)
    for name in _BODIES.get(equation.primitive.name, ()):
        inner = params[name]
        many = isinstance(inner, tuple)
        params[name] = tuple(_simplified(part, wishes) for part in inner) if many else _simplified(inner, wishes)
    return params


_BODIES: Final = {
    "composite": ("jaxpr",),
    "cond": ("branches",),
    "scan": ("jaxpr",),
    "while": ("cond_jaxpr", "body_jaxpr"),
}
"""Primitives that hold what is computed inside them -> the parameters that hold it."""


def _foldable(equation: Any) -> bool:
    """Return whether the results are small, of known size and the same every time."""
    if is_random(equation) or is_size(equation) or enlarges(equation):
        return False
    return has_static_results(equation) and sum(var.aval.size for var in equation.outvars) <= FOLD_LIMIT


FOLD_LIMIT: Final = 2**20
"""Largest result, in elements, that is computed while tracing; larger ones are computed when they are written."""


def prune(closed: core.ClosedJaxpr) -> core.ClosedJaxpr:
    """Return the program without equations whose results nobody reads."""
    needed = {atom for atom in closed.jaxpr.outvars if not is_literal(atom)}
    kept = []
    for equation in reversed(closed.jaxpr.eqns):
        if equation.effects or needed.intersection(equation.outvars):
            kept.append(equation)
            needed.update(atom for atom in equation.invars if not is_literal(atom))
    return cast("core.ClosedJaxpr", closed.replace(jaxpr=closed.jaxpr.replace(eqns=kept[::-1])))
