"""Convolutions of integers in a component of JAX: what goes into each and what comes out is rounded to 256 numbers.

flax calls every convolution through one method, so that a component need not know of it. The program that it then is
(the fake-quantised one) is what converters write and what their files are judged by. The same way shows what goes
through the convolutions, for calibration and for trying each of them alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import jax
import jax.numpy as jnp
from flax import linen as nn

from lwmport.models.composites.rounding import FIRST, LAST, rounded
from lwmport.types import Component, Levels, Rounded, TensorSpec

Convolve: TypeAlias = Callable[[jax.Array], jax.Array]
Step: TypeAlias = Callable[[str, Convolve, jax.Array], jax.Array]
"""Given the kernel's name of a convolution, the convolution and its input, returns what the program goes on with."""

INPUTS: Final = "inputs"
OUTPUTS: Final = "outputs"
REACHED: Final = "reached"
RETURNED: Final = "returned"
TRIED: Final = (REACHED, INPUTS, OUTPUTS, RETURNED)
"""Behind the name of a kernel: what the program brings to its convolution, what goes into that in a trial, what comes
out of it then, and what the program goes on with."""

WAVES: Final = 1000
"""How often a trial goes up and down over the span of the numbers, in radians: values that are near are tried apart."""


def with_rounding(component: Component, found: Mapping[str, Rounded]) -> Component:
    """Return the component whose convolutions with these kernels are of integers."""
    if not found:
        return component

    def step(kernel: str, convolve: Convolve, x: jax.Array) -> jax.Array:
        return _of_integers(convolve, found[kernel])(x) if kernel in found else convolve(x)

    quantizer = component.quantizer
    if quantizer is not None:
        quantizer = replace(quantizer, vectors=_Stepped(quantizer.vectors, step))
    return replace(component, apply=_Stepped(component.apply, step), quantizer=quantizer, rounded=dict(found))


def without_rounding(component: Component) -> Component:
    """Return a component as it was before `with_rounding`."""
    if not component.rounded:
        return component
    quantizer = component.quantizer
    if quantizer is not None:
        quantizer = replace(quantizer, vectors=_whole(quantizer.vectors).function)
    return replace(component, apply=_whole(component.apply).function, quantizer=quantizer, rounded={})


def extremes(component: Component, kernels: tuple[str, ...]) -> Component:
    """Return the component that gives the least and the largest value (see `observed`)."""
    return observed(component, kernels, lambda _, x: jnp.stack([x.min(), x.max()]))


def squared_errors(component: Component, kernels: tuple[str, ...], tried: Mapping[str, Sequence[Levels]]) -> Component:
    """Return the component that gives the mean squared error of rounding to each of several levels (see `observed`)."""

    def errors(name: str, x: jax.Array) -> jax.Array:
        return jnp.stack([jnp.mean(jnp.square(rounded(x, levels) - x)) for levels in tried[name]])

    return observed(component, kernels, errors)


def observed(
    component: Component, kernels: tuple[str, ...], measure: Callable[[str, jax.Array], jax.Array]
) -> Component:
    """Return the component that gives a measure of what goes into and comes out of convolutions, and nothing else.

    Args:
        component: not rounded itself.
        kernels: of the convolutions.
        measure: of a value, called with ``KERNEL/inputs`` or ``KERNEL/outputs``.
    """

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}

        def step(kernel: str, convolve: Convolve, x: jax.Array) -> jax.Array:
            y = convolve(x)
            if kernel in kernels:
                for name, value in ((f"{kernel}/{INPUTS}", x), (f"{kernel}/{OUTPUTS}", y)):
                    made[name] = measure(name, value)
            return y

        _Stepped(component.apply, step)(weights, inputs)
        return made

    names = [f"{kernel}/{part}" for kernel in kernels for part in (INPUTS, OUTPUTS)]
    return _giving(component, apply, names)


def tried_alone(component: Component) -> Component:
    """Return a rounded component that also tries each of its convolutions on values that reach beyond all numbers.

    Beside its own outputs, for each kernel: ``KERNEL/reached`` is what the program brings there before it is rounded,
    ``KERNEL/inputs`` the values of the trial, ``KERNEL/outputs`` what the convolution makes of them, and
    ``KERNEL/returned`` what the program goes on with.
    """
    found, whole = component.rounded, _whole(component.apply)

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}

        def step(kernel: str, convolve: Convolve, x: jax.Array) -> jax.Array:
            if kernel not in found:
                return convolve(x)
            trial = beyond(x, found[kernel].inputs)
            # flax calls a module once: both go through it side by side, as items of a batch
            y, tried = jnp.split(whole.step(kernel, convolve, jnp.concatenate([x, trial])), 2)
            made.update(zip((f"{kernel}/{part}" for part in TRIED), (x, trial, tried, y), strict=True))
            return y

        outputs = _Stepped(whole.function, step)(weights, inputs)
        return {**outputs, **made}

    names = [f"{kernel}/{part}" for kernel in found for part in TRIED]
    return _giving(component, apply, [*(spec.name for spec in component.signature.outputs), *names])


def beyond(x: jax.Array, levels: Levels) -> jax.Array:
    """Return values of the shape of x that lie all over the numbers and a tenth of their span beyond both ends.

    Each is a quarter of a step from a number, so that it is no tie for anybody.
    """
    span = LAST - FIRST
    waves = jnp.sin(x * jnp.float32(WAVES / (span * levels.scale)))
    codes = jnp.round((FIRST + LAST) / 2 + jnp.float32(0.6 * span) * waves)
    return (codes - levels.zero + jnp.float32(0.25)) * jnp.float32(levels.scale)


def _of_integers(convolve: Convolve, found: Rounded) -> Convolve:
    def of_integers(x: jax.Array) -> jax.Array:
        y = convolve(rounded(x, found.inputs))
        return y if found.outputs is None else rounded(y, found.outputs)

    return of_integers


@dataclass(frozen=True)
class _Stepped:
    """A function in which every convolution of flax goes through ``step``."""

    function: Callable[..., Any]
    step: Step

    def __call__(self, *args: Any) -> Any:
        with nn.intercept_methods(self._intercept):
            return self.function(*args)

    def _intercept(self, next_: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if context.method_name != "__call__" or not isinstance(context.module, nn.Conv):
            return next_(*args, **kwargs)
        return self.step("/".join((*context.module.path, "kernel")), next_, *args)


def _whole(function: Callable[..., Any]) -> _Stepped:
    assert isinstance(function, _Stepped)  # noqa: S101 - of a component that `with_rounding` has made
    return function


def _giving(component: Component, apply: Callable[..., dict[str, Any]], names: list[str]) -> Component:
    own = {spec.name: spec for spec in component.signature.outputs}
    outputs = tuple(own.get(name, TensorSpec(name=name, shape=(), dtype="float32")) for name in names)
    return replace(component, apply=apply, signature=replace(component.signature, outputs=outputs))
