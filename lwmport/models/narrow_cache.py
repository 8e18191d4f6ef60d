"""A component whose states that hold something of each token are narrower than what it computes in.

float16 states are cast; int8 states are codes with a scale for each channel, which a run of the model has found
(`lwmport.pipeline.calibration.cache_ranges`). The component rounds the same way wherever it runs, so that the narrow
states are part of the program and not of a runtime.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import jax.numpy as jnp

from lwmport.errors import UnusedOptionError
from lwmport.models.attention.coded import LEAST, MOST, Coded
from lwmport.types import Array, Component, Signature, TensorSpec, Update

HALF: Final = "float16"
CODES: Final = "int8"
"""What ``--cache`` calls the two."""


def with_half_cache(component: Component) -> Component:
    """Return the component with states in float16; one without such states stays."""
    if not component.signature.caches:
        return component
    signature = _changed(component.signature, {"dtype": HALF})
    kept = frozenset(spec.name for spec in signature.outputs) & signature.caches

    def cast(found: Mapping[str, Any]) -> dict[str, Any]:  # a prefill that starts the states has float32 here
        return {name: value.astype(HALF) if name in kept else value for name, value in found.items()}

    return replace(component, signature=signature, apply=_Narrow(wide=component, read=dict, write=cast))


def with_coded_cache(component: Component, scales: Mapping[str, Array]) -> Component:
    """Return the component with states of codes; ``scales`` are float32 [1, heads, 1, head_dim] by input.

    Without scales it stays as it is.
    """
    if not scales:
        return component
    signature = _changed(component.signature, {"dtype": CODES, "value_range": (LEAST, MOST)})

    def coded(inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {**inputs, **{name: Coded(inputs[name], scale) for name, scale in scales.items()}}

    narrow = _Narrow(wide=component, read=coded, write=dict)
    return replace(component, signature=signature, apply=narrow, scales=dict(scales))


def widened(component: Component) -> Component | None:
    """Return a component as it was before its cache was made narrow; None for one that was not."""
    return component.apply.wide if isinstance(component.apply, _Narrow) else None


def in_cache(component: Component, cache: str) -> Component:
    """Return the component with the cache that ``--cache`` asks for; one of codes gets its scales later."""
    return with_half_cache(component) if cache == HALF else component


@dataclass(frozen=True, kw_only=True, eq=False)  # JAX keeps what it compiled by the function itself
class _Narrow:
    """A component's function on narrow states: ``read`` takes them in, ``write`` gives them back."""

    wide: Component
    read: Callable[[Mapping[str, Any]], dict[str, Any]]
    write: Callable[[Mapping[str, Any]], dict[str, Any]]

    def __call__(self, weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        return self.write(self.wide.apply(weights, self.read(inputs)))


def check_cache(components: Sequence[Component], cache: str) -> None:
    """Return if components can have the cache that ``--cache`` asks for.

    Raises:
        UnusedOptionError: codes are asked for, and a cache has slots: no operator of a runtime writes codes into those.
    """
    for component in components if cache == CODES else ():
        if any(state.update is not Update.GROWS for state in component.signature.states):
            raise UnusedOptionError(
                f"expected --cache {CODES} for a cache that grows, found {component.name}, whose cache has slots; "
                f"take --cache {HALF}, or the whole model at any length",
                "cache",
            )


def reaching(component: Component) -> Component:
    """Return the component that gives, for each state, how far its new tokens reach: float32 [1, heads, 1, head_dim].

    Neighbouring channels that a position turns into each other reach as far as both together, wherever they stand.
    """
    states = component.signature.states

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        made = component.apply(weights, inputs)
        new = {state.input: made[state.output][:, :, inputs[state.input].shape[2] :] for state in states}
        return {name: _reach(value, turned=name in component.turned) for name, value in new.items()}

    shapes = {spec.name: spec.shape for spec in component.signature.inputs}
    outputs = tuple(TensorSpec(name=one.input, shape=_flat(shapes[one.input]), dtype="float32") for one in states)
    return replace(component, apply=apply, signature=Signature(inputs=component.signature.inputs, outputs=outputs))


def _reach(values: Any, *, turned: bool) -> Any:
    squares = jnp.square(values)
    if turned:
        pairs = squares.reshape(*values.shape[:3], -1, 2).sum(axis=-1, keepdims=True)
        squares = jnp.broadcast_to(pairs, (*pairs.shape[:-1], 2)).reshape(values.shape)
    return jnp.sqrt(squares.max(axis=(0, 2), keepdims=True))


def _flat(shape: tuple[Any, ...]) -> tuple[Any, ...]:
    return (1, shape[1], 1, shape[3])


def _changed(signature: Signature, fields: Mapping[str, Any]) -> Signature:
    def changed(specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        return tuple(replace(spec, **fields) if spec.name in signature.caches else spec for spec in specs)

    return replace(signature, inputs=changed(signature.inputs), outputs=changed(signature.outputs))
