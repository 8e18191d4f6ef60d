"""Parts of a narrow program that are computed in float32: which operators a pattern means, and how they are widened.

The program is the narrow one as JAX traces it. An equation that stays in float32 takes its operands in float32 and
gives its results in float32; what reads them in the narrow dtype rounds them. So a chain of such equations is in
float32 from end to end, and a value that the narrow dtype cannot hold may pass from one to the next.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, TypeAlias

import jax
import jax.numpy as jnp
from jax.extend import core

from lwmport.models.calls import bound, read, without_calls
from lwmport.models.module_paths import module_of, module_paths
from lwmport.types import Component

WIDE: Final = jnp.dtype("float32")
Path: TypeAlias = tuple[str, ...]
"""The modules that an operator lies in, and its own name behind them."""

See: TypeAlias = Callable[[int, Any], None]
"""Called with the number of an equation and its result, as it is computed."""


def matches(path: Path, patterns: Collection[str]) -> bool:
    """Return whether a pattern (`fnmatch`) is of an operator: its path, a module that it lies in, or its name alone."""
    names = ["/".join(path[:length]) for length in range(1, len(path) + 1)]
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in (*names, path[-1]))


def holds(weight: str, patterns: Collection[str]) -> bool:
    """Return whether a pattern is of a weight, of a module that it belongs to, or the name of an operator beside it.

    A pattern of a kind of operator (``silu``) is of no weight.
    """
    module, _, name = weight.rpartition("/")
    beside = {pattern.rpartition("/")[0] for pattern in patterns} - {""}
    return module in beside or matches((*module.split("/"), name), patterns)


def narrow_program(component: Component, inputs: Mapping[str, Any], precision: str) -> core.ClosedJaxpr:
    """Return the program without calls whose weights and inputs, each sorted by name, are all in a narrow dtype.

    Args:
        component: in float32.
        inputs: arrays or tracers, which tell the sizes.
        precision: the dtype.
    """
    weights = {name: jax.ShapeDtypeStruct(spec.shape, precision) for name, spec in component.weights.items()}
    given = {name: jax.ShapeDtypeStruct(value.shape, _narrow(value.dtype, precision)) for name, value in inputs.items()}

    def flat(weights: Mapping[str, Any], given: Mapping[str, Any]) -> list[Any]:
        found = component.apply(weights, given)
        return [found[name] for name in sorted(found)]

    return without_calls(jax.make_jaxpr(flat)(weights, given))


def operator_paths(closed: core.ClosedJaxpr, weights: Sequence[str]) -> list[Path]:
    """Return the path of each equation. One that takes a weight lies in that weight's module, if that is further in."""
    jaxpr = closed.jaxpr
    names = dict(zip(jaxpr.invars, weights, strict=False))
    modules = module_paths(jaxpr.eqns, weights)
    return [_path(equation, modules[id(equation)], names) for equation in jaxpr.eqns]


def run_in_parts(
    closed: core.ClosedJaxpr,
    args: Sequence[Any],
    paths: Sequence[Path],
    wide: Callable[[Path], bool],
    precision: str,
    see: See = lambda *_: None,
) -> list[Any]:
    """Return the outputs of a narrow program of which some equations are computed in float32.

    Args:
        closed: the program, without calls.
        args: what it takes; in float32 where that is not to be rounded for those equations.
        paths: of its equations.
        wide: whether the equation of a path is computed in float32.
        precision: the narrow dtype.
        see: shown each result that the program has in the narrow dtype.
    """
    values: dict[Any, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    values.update(zip(closed.jaxpr.invars, args, strict=True))
    for number, (equation, path) in enumerate(zip(closed.jaxpr.eqns, paths, strict=True)):
        kept = wide(path)
        operands = [_as_read(atom, values, kept, precision) for atom in equation.invars]
        with jax.named_scope(str(equation.source_info.name_stack)):
            results = bound(equation, operands, **(_widened_params(equation, precision) if kept else {}))
        values.update(zip(equation.outvars, results, strict=True))
        for variable, value in zip(equation.outvars, results, strict=True):
            if variable.aval.dtype == precision:
                see(number, value)
    return [read(atom, values) for atom in closed.jaxpr.outvars]


def _path(equation: Any, module: Path, weights: Mapping[Any, str]) -> Path:
    name = equation.primitive.name
    own = equation.params["name"].rpartition(".")[2] if name == "composite" else name
    for atom in equation.invars:
        inner = () if hasattr(atom, "val") else module_of(weights.get(atom, ""))
        if len(inner) > len(module) and inner[: len(module)] == module:
            return (*inner, own)
    return (*module, own)


def _as_read(atom: Any, values: dict[Any, Any], kept: bool, precision: str) -> Any:  # noqa: FBT001 - of one equation
    """Return an operand: in float32 where the program has it narrow and this equation does not."""
    value, dtype = read(atom, values), atom.aval.dtype
    wanted = WIDE if kept and dtype == precision else dtype
    return value if value.dtype == wanted else jnp.asarray(value).astype(wanted)


def _widened_params(equation: Any, precision: str) -> dict[str, Any]:
    """Return the parameters of an equation that are others where it computes in float32."""
    return {name: _widened(value, precision) for name, value in equation.params.items()}


def _widened(value: Any, precision: str) -> Any:
    if isinstance(value, core.ClosedJaxpr):
        return _widened_program(value, precision)
    if isinstance(value, tuple) and value and all(isinstance(item, core.ClosedJaxpr) for item in value):
        return tuple(_widened_program(item, precision) for item in value)
    return WIDE if _is_dtype(value, precision) else value


def _widened_program(closed: core.ClosedJaxpr, precision: str) -> core.ClosedJaxpr:
    flat = without_calls(closed)
    shapes = [
        jax.ShapeDtypeStruct(var.aval.shape, WIDE if var.aval.dtype == precision else var.aval.dtype)
        for var in flat.jaxpr.invars
    ]
    paths = [()] * len(flat.jaxpr.eqns)
    return jax.make_jaxpr(lambda *args: run_in_parts(flat, args, paths, lambda _: True, precision))(*shapes)


def _is_dtype(value: Any, precision: str) -> bool:
    return (isinstance(value, type) or hasattr(value, "kind")) and value == jnp.dtype(precision)


def _narrow(dtype: Any, precision: str) -> Any:
    return precision if jnp.issubdtype(dtype, jnp.floating) else dtype
