"""The reference for a model that is larger than memory: JAX, equation by equation, a weight at a time.

The program is the component's own jaxpr, as JAX traces it, with nothing simplified: each equation is bound as it
stands, in float32 on the CPU. A weight is read for the equation that takes it and let go behind it; other values live
until their last use. Several inputs go through the program side by side, so that the weights are read once for all.
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeAlias

import jax
import numpy as np
from jax.extend import core

from lwmport.graphs.atoms import is_literal, value_of
from lwmport.runtime.base_runner import BaseRunner
from lwmport.runtime.inputs import check_inputs
from lwmport.types import Array, Component, Progress, Weights

Walk: TypeAlias = Generator[str, Any, dict[str, Array]]
"""A run that yields the name of each weight that it needs, is sent it, and returns the outputs."""


class StreamedJaxRunner(BaseRunner):
    """Runs a component with no more than one of its weights in memory. It is not to be timed: it reads as it goes."""

    name = "JAX, a weight at a time"
    streamed = True

    def __init__(self, component: Component, weights: Weights) -> None:
        self.component = component
        self.inputs, self.outputs = component.signature.inputs, component.signature.outputs
        self._weights = weights
        self._device = jax.devices("cpu")[0]

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self.run_all([inputs])[0]

    def run_all(
        self, cases: Sequence[Mapping[str, Array]], progress: Progress = lambda *_: None
    ) -> list[dict[str, Array]]:
        """Return the outputs for each of several inputs; a weight that all need next is read once.

        ``progress`` hears of the bytes of weights in float32.

        Raises:
            RunnerError: names, shapes, dtypes or indices do not fit the signature.
        """
        for inputs in cases:
            check_inputs(self.component.signature.inputs, inputs)
        found: dict[int, dict[str, Array]] = {}
        waiting: dict[int, str] = {}
        walks = [self._walk(inputs) for inputs in cases]
        total, done, seen = sum(spec.nbytes for spec in self.component.weights.values()), 0, set[str]()

        def step(number: int, weight: Any) -> None:
            try:
                waiting[number] = walks[number].send(weight)
            except StopIteration as end:
                found[number] = end.value
                waiting.pop(number, None)

        with jax.default_device(self._device):
            for number in range(len(walks)):
                step(number, None)
            while waiting:
                name = next(iter(waiting.values()))
                weight = self._read(name)
                for number in [number for number, wanted in waiting.items() if wanted == name]:
                    step(number, weight)
                del weight  # before the next one is read
                done += 0 if name in seen else self.component.weights[name].nbytes
                seen.add(name)
                progress(name, done, total)
        return [found[number] for number in range(len(walks))]

    def _read(self, name: str) -> Any:
        spec = self.component.weights[name]
        return jax.device_put(self._weights.read(name).astype(spec.dtype, copy=False), self._device)

    def _walk(self, inputs: Mapping[str, Array]) -> Walk:
        names = sorted(self.component.weights)
        closed, outputs = _traced(self.component, names, inputs)
        given = dict(zip(closed.jaxpr.invars[: len(names)], names, strict=True))
        values = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
        fed = (jax.numpy.asarray(inputs[name]) for name in sorted(inputs))
        values |= dict(zip(closed.jaxpr.invars[len(names) :], fed, strict=True))
        last = _last_uses(closed)
        for number, equation in enumerate(closed.jaxpr.eqns):
            operands = []
            for atom in equation.invars:
                weight = None if is_literal(atom) else given.get(atom)
                operands.append(value_of(atom, values) if weight is None else (yield weight))
            made = equation.primitive.bind(*operands, **equation.primitive.get_bind_params(equation.params))
            made = made if equation.primitive.multiple_results else [made]
            del operands
            jax.block_until_ready(made)  # else equations pile up, each with its weight
            values.update(zip(equation.outvars, made, strict=True))
            for var in last.get(number, ()):
                values.pop(var, None)
        return {
            name: np.asarray(value_of(atom, values)) for name, atom in zip(outputs, closed.jaxpr.outvars, strict=True)
        }


def _traced(
    component: Component, names: Sequence[str], inputs: Mapping[str, Array]
) -> tuple[core.ClosedJaxpr, list[str]]:
    """Return a component's jaxpr for inputs of these sizes, and the names of its outputs."""
    specs = {name: component.weights[name] for name in names}
    weights = {name: jax.ShapeDtypeStruct(spec.shape, spec.dtype) for name, spec in specs.items()}
    outputs = sorted(spec.name for spec in component.signature.outputs)

    def flat(weights: Mapping[str, Any], given: Mapping[str, Any]) -> list[Any]:
        found = component.apply(weights, given)
        return [found[name] for name in outputs]

    return jax.make_jaxpr(flat)(weights, dict(inputs)), outputs


def _last_uses(closed: core.ClosedJaxpr) -> dict[int, list[Any]]:
    """Return the variables that no equation needs behind the one of that number."""
    last: dict[Any, int] = {}
    for number, equation in enumerate(closed.jaxpr.eqns):
        last |= dict.fromkeys(equation.outvars, number)
        last |= {atom: number for atom in equation.invars if not is_literal(atom)}
    kept = {atom for atom in closed.jaxpr.outvars if not is_literal(atom)}
    found: dict[int, list[Any]] = {}
    for var, number in last.items():
        if var not in kept:
            found.setdefault(number, []).append(var)
    return found
