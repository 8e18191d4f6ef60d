"""The reference: a component run by JAX itself, in float32 on the CPU."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import jax
import numpy as np
from jax.extend import core

from lwmport import memory
from lwmport.graphs.taps import tapped
from lwmport.models.jax_cpu import cpu
from lwmport.runtime.base_runner import BaseRunner
from lwmport.runtime.inputs import check_inputs
from lwmport.runtime.runners.jax_streamed import StreamedJaxRunner, tapped_jaxpr
from lwmport.types import Array, Component, Progress, Quantized, Quantizer, Weights


def reference(component: Component, weights: Weights) -> "JaxRunner | StreamedJaxRunner":
    """Return what runs a component, of the kind that `reference_kind` says."""
    return reference_kind(component)(component, weights)


def reference_kind(component: Component) -> "type[JaxRunner | StreamedJaxRunner]":
    """Return how a component is run: with all weights in memory, or a weight at a time where memory is scarce for them.

    Either gives the same outputs but for the order of sums.
    """
    count = sum(spec.nbytes for spec in component.weights.values())
    return StreamedJaxRunner if memory.is_scarce(count) else JaxRunner


def quantized(
    component: Component, weights: Weights, cases: Sequence[Mapping[str, Array]]
) -> list[dict[str, Quantized]]:
    """Return what the reference quantizes for each of several inputs, by output of indices; one more run of each."""
    quantizer = component.quantizer
    if quantizer is None:
        return [{} for _ in cases]
    codebook = weights.read(quantizer.codebook).astype(component.weights[quantizer.codebook].dtype, copy=False)
    return [
        {quantizer.indices: Quantized(states=quantizer.states, vectors=found[quantizer.states], codebook=codebook)}
        for found in reference(unquantized(component, quantizer), weights).run_all(cases)
    ]


def unquantized(component: Component, quantizer: Quantizer) -> Component:
    """Return the component up to its quantizer: its one output, called as the states, is what is quantized."""
    states = tuple(spec for spec in component.signature.outputs if spec.name == quantizer.states)
    return replace(
        component,
        signature=replace(component.signature, outputs=states),
        apply=lambda weights, inputs: {quantizer.states: quantizer.vectors(weights, inputs)},
    )


class JaxRunner(BaseRunner):
    """Runs a component with its weights; holds the weights of this component once, as JAX arrays."""

    name = "JAX"

    def __init__(self, component: Component, weights: Weights) -> None:
        self.component = component
        self.inputs, self.outputs = component.signature.inputs, component.signature.outputs
        self._device = cpu()
        self._weights = {
            name: jax.device_put(weights.read(name).astype(spec.dtype), self._device)
            for name, spec in component.weights.items()
        }
        self._apply = jax.jit(component.apply)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        with jax.default_device(self._device):
            found = self._apply(self._weights, dict(inputs))
        return {name: np.asarray(value) for name, value in found.items()}

    def _release(self) -> None:
        del self._weights, self._apply

    def run_all(
        self, cases: Sequence[Mapping[str, Array]], progress: Progress = lambda *_: None
    ) -> list[dict[str, Array]]:
        """Return the outputs for each of several inputs; ``progress`` is not called, for nothing is read."""
        del progress
        return [self.run(inputs) for inputs in cases]

    def taps(self, inputs: Mapping[str, Array], kind: str) -> Iterator[tuple[str, Array]]:
        """Yield the name and the value of each tap, in the order of computation.

        Args:
            inputs: of the component, by name.
            kind: one of `lwmport.types.TAPS`.

        Raises:
            RunnerError: names, shapes, dtypes or indices do not fit the signature.
            UsageError: the component has nothing to tap.
        """
        check_inputs(self.component.signature.inputs, inputs)
        closed, found = tapped_jaxpr(self.component, inputs, kind)
        weights = [self._weights[name] for name in sorted(self._weights)]
        with jax.default_device(self._device):
            values = jax.jit(core.jaxpr_as_fun(tapped(closed, found.values())))(
                *weights, *(jax.numpy.asarray(inputs[name]) for name in sorted(inputs))
            )
        for name, value in zip(found, values[-len(found) :], strict=True):
            yield name, np.asarray(value)
