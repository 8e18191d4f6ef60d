"""States in JAX: the reference of a session, run by the components themselves."""

from collections.abc import Mapping
from typing import Any, Final

import jax
import numpy as np

from lwmport.models.jax_cpu import cpu
from lwmport.runtime.runners.jax import reference_kind
from lwmport.runtime.runners.jax_streamed import StreamedJaxRunner
from lwmport.runtime.session.arrays import ArraysBackend
from lwmport.runtime.session.backend import Backend, PhaseModel, first, growing
from lwmport.runtime.session.layout import MASK, POSITIONS, layout_of
from lwmport.types import DECODE, Array, Component, Weights

ROUNDED: Final = 64
"""Tokens that the length of a growing cache is rounded up to: JAX compiles once for each length that it meets."""


def reference_backend(components: Mapping[str, Component], weights: Weights) -> Backend:
    """Return what runs the component of each phase, a weight at a time where memory is scarce for all weights."""
    if any(reference_kind(component) is StreamedJaxRunner for component in components.values()):
        runners = {name: StreamedJaxRunner(one, weights) for name, one in components.items()}
        return ArraysBackend(
            {phase: PhaseModel(signature=one.signature, runner=runners[phase]) for phase, one in components.items()}
        )
    return JaxBackend(components, weights)


class JaxBackend:
    """Runs components with JAX on the CPU; their weights are in memory once.

    States of fixed length are JAX's own arrays, and a run may write the new ones into their memory. States that grow
    are filled up on the left, where the mask says that there is nothing.
    """

    name = "JAX"
    closed: bool = False

    def __init__(self, components: Mapping[str, Component], weights: Weights) -> None:
        self._device = cpu()
        self._components = components
        self._layouts = {phase: layout_of(one.name, one.signature) for phase, one in components.items()}
        specs = {name: spec for component in components.values() for name, spec in component.weights.items()}
        self._weights = {
            name: jax.device_put(weights.read(name).astype(spec.dtype), self._device) for name, spec in specs.items()
        }
        compiled = {component.name: _compiled(component) for component in components.values()}
        self._apply = {phase: compiled[component.name] for phase, component in components.items()}

    def hold(self, arrays: Mapping[str, Array]) -> dict[str, Any]:
        """Return the states by input."""
        return {name: jax.device_put(array, self._device) for name, array in arrays.items()}

    def run(self, phase: str, inputs: Mapping[str, Array], held: Any) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return (results by name, states by input)."""
        component = self._components[phase]
        model = PhaseModel(signature=component.signature, runner=None)
        axes = growing(component.signature)
        fill = self._fill(phase, inputs) if axes else 0
        states = {name: held[name] for name in model.fed}
        states |= {name: _filled(held[name], axis, fill) for name, axis in axes.items()}
        given = {**inputs, MASK: _filled(inputs[MASK], 1, fill)}
        weights = {name: self._weights[name] for name in component.weights}
        with jax.default_device(self._device):
            results, kept = model.divide(self._apply[phase](weights, given, states))
        for name, axis in axes.items():
            kept[name] = np.split(np.asarray(kept[name]), [fill], axis)[1]
        return {name: np.asarray(value) for name, value in results.items()}, kept

    def _fill(self, phase: str, inputs: Mapping[str, Array]) -> int:
        """Return how much padding a growing cache gets in front."""
        total, new = int(inputs[MASK].shape[1]), int(inputs[POSITIONS].shape[1])
        return padding(total, new, self._layouts[phase].positions or total)

    def cut(self, held: Any, tokens: int) -> Any:
        """Return the states of the first tokens."""
        axes = growing(self._components[DECODE].signature)
        return {**held, **{name: first(held[name], axis, tokens) for name, axis in axes.items()}}

    def copy(self, held: Any) -> Any:
        """Return the same states in memory of their own."""
        return {name: array.copy() for name, array in held.items()}

    def close(self) -> None:
        """Let go of the weights and of what was compiled. A second call does nothing."""
        self.closed = True
        self._weights.clear()
        self._apply.clear()


def padding(total: int, new: int, positions: int) -> int:
    """Return how much padding goes in front of a cache: it becomes a round number, and with it all fit the positions.

    Args:
        total: tokens in the cache and new ones.
        new: new tokens.
        positions: tokens that the model takes at most.
    """
    return min(-(total - new) % ROUNDED, max(0, positions - total))


def _compiled(component: Component) -> Any:
    """Return the function of a component, compiled when it is called: (weights, inputs, states) -> outputs."""
    slots = not growing(component.signature)
    return jax.jit(
        lambda weights, inputs, states: component.apply(weights, {**inputs, **states}),
        donate_argnums=(2,) if slots else (),
    )


def _filled(array: Any, axis: int, count: int) -> Any:
    """Return an array with as many zeros in front of an axis."""
    return np.pad(array, [(count, 0) if place == axis else (0, 0) for place in range(array.ndim)])
