"""What convolutions of integers round to: the ranges of what goes through them, seen while the reference runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lwmport.checkpoints.model_weights import component_weights
from lwmport.errors import UnusedOptionError
from lwmport.models.families import Family, rounding
from lwmport.models.options import Options
from lwmport.models.schemes import SUMS
from lwmport.models.storage import rounding_kernels, rounding_products
from lwmport.pipeline.observer import Observer
from lwmport.pipeline.validate.test_inputs import SHOWN, Sampling, TestInputs, described
from lwmport.runtime.runners.jax import reference
from lwmport.types import Array, Component, Dialect, Levels, Rounded, Weights

FACTORS: Final = tuple(1 - step / 20 for step in range(11))
"""By how much ``--method mse`` draws a range in: from not at all to one half, as it does with weights."""

STEPS: Final = 255
"""Between the least and the largest of 256 numbers."""

ROUNDING: Final = "com.microsoft.MatMulNBits"
"""The form of a product that rounds what it multiplies."""


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """A family whose components round, and how that was found, in words; empty where nothing rounds."""

    family: Family
    words: str = ""


def calibrated(family: Family, weights: Weights, sampling: Sampling, batch: int, observer: Observer) -> Calibrated:
    """Return the family with the ranges of every convolution that its options make one of integers.

    They are seen on the samples that a user gives, else on others than it is judged on, ``batch`` at once.
    """
    found: dict[str, Mapping[str, Rounded]] = {}
    words: list[str] = []
    for component in family.references:
        kernels = rounding_kernels(component, family.options)
        if not kernels:
            continue
        own = component_weights(family, component, weights)
        feeds, description = _samples(component, own, sampling, batch)
        observer.phase(f"{component.name}: find the ranges of {len(kernels)} convolutions on {description}")
        found[component.name] = ranges(component, own, kernels, feeds, family.options)
        words.append(f"{_how(family.options)} of {description}")
    return Calibrated(family=rounding(family, found), words="; ".join(dict.fromkeys(words)))


def check_products(components: Sequence[Component], options: Options, dialect: Dialect) -> None:
    """Return if no product has to round what it multiplies in a dialect that has no operator for it.

    Raises:
        UnusedOptionError: one has.
    """
    if ROUNDING in dialect.composites.get("quantised_dot", ()):
        return
    for component in components:
        products = rounding_products(component, options)
        if products:
            raise UnusedOptionError(
                f"expected convolutions alone for --quantize {options.quantize} in the dialect {dialect.name!r}, found "
                f"products such as that of {products[0]} in {component.name}; take the dialect ort, or for Ascend "
                "--to hf --dialect mindie",
                "quantize",
            )


def ranges(
    component: Component,
    weights: Weights,
    kernels: tuple[str, ...],
    feeds: Sequence[Mapping[str, Array]],
    options: Options,
) -> dict[str, Rounded]:
    """Return what each convolution is to round to, by kernel.

    Args:
        component: not rounded itself.
        weights: its own.
        kernels: of the convolutions.
        feeds: inputs of the component.
        options: whose method says how a range is chosen.
    """
    from lwmport.models.rounding import INPUTS, OUTPUTS, extremes

    seen = reference(extremes(component, kernels), weights).run_all(feeds)
    whole = {name: _joined([one[name] for one in seen]) for name in seen[0]}
    levels = {name: levels_of(*ends) for name, ends in whole.items()}
    if options.method == "mse":
        levels = _least_error(component, weights, kernels, feeds, whole)
    sums = options.rounding in SUMS  # what comes out is not rounded
    return {
        kernel: Rounded(inputs=levels[f"{kernel}/{INPUTS}"], outputs=None if sums else levels[f"{kernel}/{OUTPUTS}"])
        for kernel in kernels
    }


def levels_of(low: float, high: float) -> Levels:
    """Return the numbers from the least to the largest value, zero among them; the scale is a float32."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / STEPS)) or 1.0
    return Levels(scale=scale, zero=int(np.clip(np.rint(-128 - low / scale), -128, 127)))


def _least_error(
    component: Component,
    weights: Weights,
    kernels: tuple[str, ...],
    feeds: Sequence[Mapping[str, Array]],
    whole: Mapping[str, tuple[float, float]],
) -> dict[str, Levels]:
    """Return the numbers with the least sum of squared errors, of ranges drawn in by each of the factors."""
    from lwmport.models.rounding import squared_errors

    tried = {name: [levels_of(low * by, high * by) for by in FACTORS] for name, (low, high) in whole.items()}
    seen = reference(squared_errors(component, kernels, tried), weights).run_all(feeds)
    return {name: tried[name][int(np.argmin(sum(one[name] for one in seen)))] for name in tried}


def _joined(ends: Sequence[Array]) -> tuple[float, float]:
    return float(min(low for low, _ in ends)), float(max(high for _, high in ends))


def _how(options: Options) -> str:
    return "least squared error" if options.method == "mse" else "extremes"


def _samples(
    component: Component, weights: Weights, sampling: Sampling, batch: int
) -> tuple[list[Mapping[str, Array]], str]:
    """Return inputs to see ranges on, and what they are."""
    maker = TestInputs(component, weights, sampling)
    if sampling.given is not None:
        trials = maker.trials(1)
        return [trial.made.inputs for trial in trials], described(trials)
    first = batch * (sampling.count or maker.usual(batch))
    made = [maker.make(1, number, maker.cases[0]) for number in range(first, first + SHOWN)]
    heads = made[0].description.rpartition(": ")[0]
    names = ", ".join(one.description.rpartition(": ")[2] for one in made)
    return [one.inputs for one in made], f"{heads}: {names}" if heads else names
