"""A component in a narrower precision: narrower weights, and all that is computed with them.

What needs float32 has it inside: norms, scores of attention, distances to codes. Pictures, logits and states keep
float32 at the edge of a model; a cache is as narrow as the model, for its size is what it costs.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax.numpy as jnp

from lwmport.types import Component, Signature, TensorSpec, WeightSpec


def in_precision(component: Component, precision: str) -> Component:
    """Return the component computed in a precision; one without weights has nothing to narrow and stays.

    Args:
        component: in float32.
        precision: numpy's name of a floating dtype.
    """
    if precision == "float32" or not component.weights:
        return component
    signature = _narrowed_caches(component.signature, precision)
    outputs = {spec.name: spec.dtype for spec in signature.outputs}

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        narrow = {name: _cast(value, precision) for name, value in inputs.items()}
        found = component.apply(weights, narrow)
        return {name: value.astype(outputs[name]) for name, value in found.items()}

    return replace(
        component,
        signature=signature,
        weights={
            name: spec if name in component.kept else _narrowed(spec, precision)
            for name, spec in component.weights.items()
        },
        apply=apply,
    )


def _narrowed_caches(signature: Signature, precision: str) -> Signature:
    def narrowed(specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        return tuple(replace(spec, dtype=precision) if spec.name in signature.caches else spec for spec in specs)

    return replace(signature, inputs=narrowed(signature.inputs), outputs=narrowed(signature.outputs))


def _narrowed(spec: WeightSpec, precision: str) -> WeightSpec:
    return replace(spec, dtype=precision) if spec.dtype == "float32" else spec


def _cast(value: Any, precision: str) -> Any:
    return value.astype(precision) if jnp.issubdtype(value.dtype, jnp.floating) else value
