"""The reference for a model that is larger than memory: JAX, equation by equation, a weight at a time.

The program is the component's own jaxpr, as JAX traces it, with nothing simplified: each equation is bound as it
stands, in float32 on the CPU. A weight is read for the equation that takes it and let go behind it; other values live
until their last use. Several inputs go through the program side by side, so that the weights are read once for all.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np
from jax.extend import core

from lwmport.graphs.atoms import is_literal, value_of
from lwmport.graphs.inline import inline
from lwmport.graphs.origins import Origin, origins
from lwmport.graphs.simplify import simplify
from lwmport.graphs.trace import taps_of
from lwmport.models.jax_cpu import cpu
from lwmport.runtime.base_runner import BaseRunner
from lwmport.runtime.inputs import check_inputs
from lwmport.types import Array, Component, Progress, Weights


class Wanted(NamedTuple):
    """A weight that a run needs next, and what it multiplies with it from the left, [..., inputs], if it does that."""

    name: str
    factor: Any = None


Walk: TypeAlias = Generator[Wanted, Any, dict[str, Array]]
"""A run that yields each weight that it needs, is sent it, and returns the outputs."""

Show: TypeAlias = Callable[[Any, Any], None]
"""Called with each variable and its value, as soon as it is computed."""


See: TypeAlias = Callable[[int, str, Array], None]
"""Called with the number of a case, the name of a tap, and its value."""


class StreamedJaxRunner(BaseRunner):
    """Runs a component with no more than one of its weights in memory. It is not to be timed: it reads as it goes."""

    name = "JAX, a weight at a time"
    streamed = True

    def __init__(self, component: Component, weights: Weights) -> None:
        self.component = component
        self.inputs, self.outputs = component.signature.inputs, component.signature.outputs
        self._weights = weights
        self._device = cpu()

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self.run_all([inputs])[0]

    def run_all(
        self,
        cases: Sequence[Mapping[str, Array]],
        progress: Progress = lambda *_: None,
        taps: tuple[str, See] | None = None,
    ) -> list[dict[str, Array]]:
        """Return the outputs for each of several inputs; a weight that all need next is read once.

        ``progress`` is called with the bytes of weights in float32. ``taps`` are a kind of `lwmport.types.TAPS`, and
        what is called with the number of the case, the name and the value of each.

        Raises:
            RunnerError: names, shapes, dtypes or indices do not fit the signature.
        """
        for inputs in cases:
            check_inputs(self.component.signature.inputs, inputs)
        found: dict[int, dict[str, Array]] = {}
        waiting: dict[int, str] = {}
        walks = [self._walk(*self._watched(number, inputs, taps)) for number, inputs in enumerate(cases)]
        total, done, seen = sum(spec.nbytes for spec in self.component.weights.values()), 0, set[str]()

        def step(number: int, weight: Any) -> None:
            try:
                waiting[number] = walks[number].send(weight).name
            except StopIteration as end:
                found[number] = end.value
                waiting.pop(number, None)

        with self._on_device():
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

    def _watched(self, number: int, inputs: Mapping[str, Array], taps: tuple[str, See] | None) -> tuple[Any, Any, Show]:
        """Return the program for some inputs, these, and what looks at each of its values."""
        if taps is None:
            return traced(self.component, inputs), inputs, lambda *_: None
        kind, see = taps
        closed, found = tapped_jaxpr(self.component, inputs, kind)
        names = {variable: name for name, variable in found.items()}

        def show(variable: Any, value: Any) -> None:
            if variable in names:
                see(number, names[variable], np.asarray(value))

        return closed, inputs, show

    def taps(self, inputs: Mapping[str, Array], kind: str) -> Iterator[tuple[str, Array]]:
        """Yield the name and the value of each tap, in the order of computation; none is kept.

        Args:
            inputs: of the component, by name.
            kind: one of `lwmport.types.TAPS`.

        Raises:
            RunnerError: names, shapes, dtypes or indices do not fit the signature.
            UsageError: the component has nothing to tap.
        """
        check_inputs(self.component.signature.inputs, inputs)
        closed, found = tapped_jaxpr(self.component, inputs, kind)
        names = {variable: name for name, variable in found.items()}
        for variable, value in self._each(closed, inputs):
            if variable in names:
                yield names[variable], value

    def computed(self, inputs: Mapping[str, Array]) -> Iterator[tuple[Origin, Array]]:
        """Yield every value that the component computes and where it comes from, composites as what they are made of.

        Raises:
            RunnerError: names, shapes, dtypes or indices do not fit the signature.
        """
        check_inputs(self.component.signature.inputs, inputs)
        closed = simplify(traced(self.component, inputs), lambda _: False)
        told = origins(closed, sorted(self.component.weights), sorted(inputs))
        yield from ((told[variable], value) for variable, value in self._each(closed, inputs))

    def _each(self, closed: core.ClosedJaxpr, inputs: Mapping[str, Array]) -> Iterator[tuple[Any, Array]]:
        """Yield the variables of a program and their values, a few at a time."""
        shown: list[tuple[Any, Array]] = []
        walk = self._walk(closed, inputs, lambda variable, value: shown.append((variable, np.asarray(value))))
        weight: Any = None
        while True:
            wanted = self._advance(walk, weight)
            weight = None  # before the next one is read, and while a value is looked at
            yield from shown
            shown.clear()
            if wanted is None:
                return
            weight = self._read(wanted.name)

    def _advance(self, walk: Walk, weight: Any) -> Wanted | None:
        """Send a run the weight that it waits for and return the next one that it needs, or None at its end."""
        with self._on_device():
            try:
                return walk.send(weight)
            except StopIteration:
                return None

    def _read(self, name: str) -> Any:
        return self._placed(name, self._weights.read(name))

    def _placed(self, name: str, weight: Array) -> Any:
        """Return a weight as an array of JAX."""
        return jax.device_put(weight.astype(self.component.weights[name].dtype, copy=False), self._device)

    def _begun(self, closed: core.ClosedJaxpr, inputs: Mapping[str, Array]) -> tuple[Mapping[Any, str], dict[Any, Any]]:
        """Return which variables are which weights, and the values that a run begins with."""
        names = sorted(self.component.weights)
        given = dict(zip(closed.jaxpr.invars[: len(names)], names, strict=True))
        values = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
        fed = (jax.numpy.asarray(inputs[name]) for name in sorted(inputs))
        return given, values | dict(zip(closed.jaxpr.invars[len(names) :], fed, strict=True))

    def _on_device(self) -> AbstractContextManager[Any]:
        found: AbstractContextManager[Any] = jax.default_device(self._device)
        return found

    def _walk(self, closed: core.ClosedJaxpr, inputs: Mapping[str, Array], show: Show = lambda *_: None) -> Walk:
        given, values = self._begun(closed, inputs)
        last = last_uses(closed)
        for number, equation in enumerate(closed.jaxpr.eqns):
            operands = []
            for atom in equation.invars:
                weight = None if is_literal(atom) else given.get(atom)
                operands.append(
                    value_of(atom, values)
                    if weight is None
                    else (yield Wanted(weight, _factor(equation, atom, values)))
                )
            made = bound(equation, operands)
            del operands
            values.update(zip(equation.outvars, made, strict=True))
            for variable, value in zip(equation.outvars, made, strict=True):
                show(variable, value)
            del made
            for var in last.get(number, ()):
                values.pop(var, None)
        outputs = zip(output_names(self.component), closed.jaxpr.outvars, strict=True)
        return {name: np.asarray(value_of(atom, values)) for name, atom in outputs}


def _factor(equation: Any, weight: Any, values: Mapping[Any, Any]) -> Any:
    """Return what an equation multiplies with a matrix [inputs, outputs] from the left; None where it does not."""
    if equation.primitive.name != "dot_general" or equation.invars[1] is not weight:
        return None
    left = equation.invars[0]
    if is_literal(left) or left not in values:
        return None
    plain = (((left.aval.ndim - 1,), (0,)), ((), ()))
    return values[left] if equation.params["dimension_numbers"] == plain and weight.aval.ndim == 2 else None


def bound(equation: Any, operands: Sequence[Any]) -> Sequence[Any]:
    """Return what an equation makes, computed: else equations pile up, each with its weight."""
    made = equation.primitive.bind(*operands, **equation.primitive.get_bind_params(equation.params))
    found: Sequence[Any] = made if equation.primitive.multiple_results else [made]
    jax.block_until_ready(found)
    return found


def output_names(component: Component) -> list[str]:
    """Return the names of a component's outputs, in the order of its jaxpr."""
    return sorted(spec.name for spec in component.signature.outputs)


def tapped_jaxpr(
    component: Component, inputs: Mapping[str, Array], kind: str
) -> tuple[core.ClosedJaxpr, dict[str, Any]]:
    """Return a component's jaxpr for inputs of these sizes, without calls, and the variable of each tap by name.

    Raises:
        UsageError: no such kind of taps, or there is nothing to tap.
    """
    flat = inline(traced(component, inputs))
    weights = dict(zip(flat.jaxpr.invars, sorted(component.weights), strict=False))
    return flat, taps_of(component, flat, weights, kind)


def tap_names(component: Component, inputs: Mapping[str, Array], kind: str) -> tuple[str, ...]:
    """Return the names of a component's taps, in the order of computation; nothing is run.

    Raises:
        UsageError: no such kind of taps, or there is nothing to tap.
    """
    return tuple(tapped_jaxpr(component, inputs, kind)[1])


def traced(component: Component, inputs: Mapping[str, Array]) -> core.ClosedJaxpr:
    """Return a component's jaxpr for inputs of these sizes: weights and inputs in, outputs out, each sorted by name."""
    specs = sorted(component.weights.items())
    weights = {name: jax.ShapeDtypeStruct(spec.shape, spec.dtype) for name, spec in specs}
    outputs = output_names(component)

    def flat(weights: Mapping[str, Any], given: Mapping[str, Any]) -> list[Any]:
        found = component.apply(weights, given)
        return [found[name] for name in outputs]

    return jax.make_jaxpr(flat)(weights, dict(inputs))


def computed_bytes(component: Component, inputs: Mapping[str, Array]) -> int:
    """Return the bytes of all values that `StreamedJaxRunner.computed` yields of inputs of these sizes."""
    closed = simplify(traced(component, inputs), lambda _: False)
    made = [variable.aval for equation in closed.jaxpr.eqns for variable in equation.outvars]
    return sum(aval.size * aval.dtype.itemsize for aval in made)


def last_uses(closed: core.ClosedJaxpr) -> dict[int, list[Any]]:
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
