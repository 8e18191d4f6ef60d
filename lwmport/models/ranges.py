"""A component that gives, for each value that a narrow program holds in its dtype, how large and how small it is.

The narrow program is computed in float32 throughout: so what overflows is seen as the number that it is.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from lwmport.models.wide_parts import Path, matches, narrow_program, operator_paths, run_in_parts
from lwmport.types import Array, Component, TensorSpec


@dataclass(frozen=True, kw_only=True)
class Observed:
    """A component whose outputs are measures of values, and which operators those are of.

    Attributes:
        component: with an output [3] for each value, by its number as a text: the largest magnitude of finite elements,
            the share of elements that are subnormal in the narrow dtype, and that of those which become zero.
        makers: number -> the operator that computes the value.
        readers: number -> the operators that read it.
    """

    component: Component
    makers: Mapping[str, Path]
    readers: Mapping[str, tuple[Path, ...]]


def observed(component: Component, precision: str, keep: Collection[str], inputs: Mapping[str, Array]) -> Observed:
    """Return what measures the values of a component in a narrow precision, for inputs of these sizes.

    Args:
        component: in float32.
        precision: numpy's name of a floating dtype.
        keep: patterns of the operators that stay in float32: a value that only those make and read is left out.
        inputs: of the component, by name.
    """
    names = sorted(component.weights)
    closed = narrow_program(component, inputs, precision)
    paths = operator_paths(closed, names)
    readers = _readers(closed, paths)
    held = {
        number
        for number, (equation, path) in enumerate(zip(closed.jaxpr.eqns, paths, strict=True))
        if any(variable.aval.dtype == precision for variable in equation.outvars)
        and not all(matches(each, keep) for each in (path, *readers[number]))
    }

    def apply(weights: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def see(number: int, value: Any) -> None:
            if number in held:
                found[_label(number)] = _measured(value, precision)

        program = narrow_program(component, given, precision)
        args = [*(weights[name] for name in names), *(given[name] for name in sorted(given))]
        run_in_parts(program, args, paths, lambda _: True, precision, see)
        return found

    labels = sorted(map(_label, held))
    outputs = tuple(TensorSpec(name=label, shape=(3,), dtype="float32") for label in labels)
    return Observed(
        component=replace(component, apply=apply, signature=replace(component.signature, outputs=outputs)),
        makers={_label(number): paths[number] for number in held},
        readers={_label(number): readers[number] for number in held},
    )


def _label(number: int) -> str:
    """Return a name that sorts as the numbers do."""
    return f"{number:06d}"


def _measured(value: Any, precision: str) -> Any:
    finfo: Any = jnp.finfo
    limits = finfo(precision)
    size = jnp.where(jnp.isfinite(value), jnp.abs(value), 0)
    tiny = (size > 0) & (size < float(limits.smallest_normal))
    lost = (size > 0) & (size <= float(limits.smallest_subnormal) / 2)
    count = max(size.size, 1)
    return jnp.stack([size.max(initial=0), tiny.sum() / count, lost.sum() / count]).astype(jnp.float32)


def _readers(closed: Any, paths: list[Path]) -> list[tuple[Path, ...]]:
    """Return, for each equation, the operators that read its results."""
    makers = {variable: number for number, one in enumerate(closed.jaxpr.eqns) for variable in one.outvars}
    found: list[dict[Path, None]] = [{} for _ in paths]
    for equation, path in zip(closed.jaxpr.eqns, paths, strict=True):
        for atom in equation.invars:
            if not hasattr(atom, "val") and atom in makers:
                found[makers[atom]][path] = None
    return [tuple(each) for each in found]
