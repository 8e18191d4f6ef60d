"""A component in a narrower precision: narrower weights, and all that is computed with them.

What needs float32 has it inside: norms, scores of attention, distances to codes. Pictures, logits and states keep
float32 at the edge of a model; a cache is as narrow as the model, for its size is what it costs. Other parts stay in
float32 where a user asks for it.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import jax.numpy as jnp

from lwmport.models.wide_parts import holds, matches, narrow_program, operator_paths, run_in_parts
from lwmport.types import Component, Signature, TensorSpec, WeightSpec

Values: TypeAlias = Mapping[str, Any]


def in_precision(component: Component, precision: str, keep: tuple[str, ...] = ()) -> Component:
    """Return the component computed in a precision; one without weights has nothing to narrow and stays.

    Args:
        component: in float32.
        precision: numpy's name of a floating dtype.
        keep: patterns of the operators that stay in float32, and so do the weights of their modules
            (`lwmport.models.wide_parts.matches`).
    """
    if precision == "float32" or not component.weights:
        return component
    signature = _narrowed_caches(component.signature, precision)
    outputs = {spec.name: spec.dtype for spec in signature.outputs}
    compute = partial(_in_parts, component, precision, keep) if keep else component.apply

    def apply(weights: Values, inputs: Values) -> dict[str, Any]:
        narrow = {name: _cast(value, precision) for name, value in inputs.items()}
        found = compute(weights, narrow)
        return {name: value.astype(outputs[name]) for name, value in found.items()}

    return replace(
        component,
        signature=signature,
        weights={
            name: spec if name in component.kept or holds(name, keep) else _narrowed(spec, precision)
            for name, spec in component.weights.items()
        },
        apply=apply,
    )


def _in_parts(
    component: Component, precision: str, keep: tuple[str, ...], weights: Values, inputs: Values
) -> dict[str, Any]:
    """Return the outputs of a component in a narrow precision of which some operators compute in float32."""
    closed, names = narrow_program(component, inputs, precision), sorted(component.weights)
    given = [*(weights[name] for name in names), *(inputs[name] for name in sorted(inputs))]
    found = run_in_parts(closed, given, operator_paths(closed, names), lambda path: matches(path, keep), precision)
    return dict(zip(sorted(spec.name for spec in component.signature.outputs), found, strict=True))


def _narrowed_caches(signature: Signature, precision: str) -> Signature:
    def narrowed(specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        return tuple(replace(spec, dtype=precision) if spec.name in signature.caches else spec for spec in specs)

    return replace(signature, inputs=narrowed(signature.inputs), outputs=narrowed(signature.outputs))


def _narrowed(spec: WeightSpec, precision: str) -> WeightSpec:
    return replace(spec, dtype=precision) if spec.dtype == "float32" else spec


def _cast(value: Any, precision: str) -> Any:
    return value.astype(precision) if jnp.issubdtype(value.dtype, jnp.floating) else value
