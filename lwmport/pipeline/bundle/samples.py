"""Golden samples and calibration data of a component: real inputs, and what the reference makes of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.validate.reference_runs import pictures
from lwmport.pipeline.validate.test_inputs import SEED, USUAL, cases_of, language_inputs
from lwmport.runtime.runners.jax import quantized, reference
from lwmport.types import Array, Component, Quantized, Signature, TensorSpec, Weights
from lwmport.validators.pictures import PHOTOGRAPHS

SYMMETRIES: Final = 8
"""A photograph turned by 0, 90, 180 and 270 degrees, and each of these mirrored: so many pictures out of one."""


@dataclass(frozen=True, kw_only=True)
class Golden:
    """One run of the reference. ``relevant`` tells where an output counts, all of it where not told.

    ``quantized`` is what its indices were made of, by output.
    """

    title: str
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    relevant: Mapping[str, Array]
    quantized: Mapping[str, Quantized]


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What goes into a bundle: runs of the reference, and inputs alone for a quantizer; none is in both."""

    golden: tuple[Golden, ...]
    calibration: tuple[Mapping[str, Array], ...]


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Inputs of one run, before a reference has seen them."""

    title: str
    inputs: Mapping[str, Array]
    relevant: Mapping[str, Array]


def take(
    component: Component,
    weights: Weights,
    signature: Signature,
    batch: int,
    counts: tuple[int, int],
    observer: Observer | None = None,
) -> Samples:
    """Return samples of a component, in the dtypes of an artifact's signature.

    Args:
        component: the reference.
        weights: its weights, and those of its feeder.
        signature: the artifact's.
        batch: items a run.
        counts: how many golden samples, and how many for calibration.
        observer: told what is being made.
    """
    observer = observer or Silent()
    observer.phase(f"{component.name}: inputs of {counts[0]} golden samples and {counts[1]} for calibration")
    runs = list(_runs(component, weights, batch, counts))
    calibration = tuple(_cast(run.inputs, signature.inputs) for run in runs[counts[0] :])
    if not counts[0]:
        return Samples(golden=(), calibration=calibration)
    golden, runner = runs[: counts[0]], reference(component, weights)
    observer.phase(f"{component.name}: {counts[0]} golden samples by the reference, {runner.name}")
    found = runner.run_all([run.inputs for run in golden], observer.progress)
    made_of = quantized(component, weights, [run.inputs for run in golden])
    made = (_golden(*one, signature) for one in zip(golden, found, made_of, strict=True))
    return Samples(golden=tuple(made), calibration=calibration)


def observed(golden: Sequence[Golden]) -> dict[str, tuple[float, float]]:
    """Return the least and the largest value that counts of each tensor, by ``inputs/NAME`` and ``outputs/NAME``."""
    found: dict[str, tuple[float, float]] = {}
    for sample in golden:
        counted = {f"inputs/{name}": array for name, array in sample.inputs.items()}
        for name, array in sample.outputs.items():
            mask = np.broadcast_to(sample.relevant.get(name, np.True_), array.shape)
            counted[f"outputs/{name}"] = array[mask]
        for name, array in counted.items():
            finite = array[np.isfinite(array)]
            if finite.size:
                values = (*found.get(name, ()), float(finite.min()), float(finite.max()))
                found[name] = (min(values), max(values))
    return found


def _golden(run: _Run, made: Mapping[str, Array], made_of: Mapping[str, Quantized], signature: Signature) -> Golden:
    outputs = _cast(made, signature.outputs)
    relevant = {name: mask for name, mask in run.relevant.items() if name in outputs and not mask.all()}
    for name, mask in relevant.items():
        outputs[name] = np.where(mask, outputs[name], np.zeros((), outputs[name].dtype))
    return Golden(
        title=run.title,
        inputs=_cast(run.inputs, signature.inputs),
        outputs=outputs,
        relevant=relevant,
        quantized=made_of,
    )


def _cast(arrays: Mapping[str, Array], specs: tuple[TensorSpec, ...]) -> dict[str, Array]:
    """Return arrays in the order and the dtypes of a signature."""
    return {spec.name: arrays[spec.name].astype(spec.dtype, copy=False) for spec in specs}


def _runs(component: Component, weights: Weights, batch: int, counts: tuple[int, int]) -> Iterator[_Run]:
    """Yield golden runs, of a language component each case in turn, then those for calibration, all of one shape."""
    golden, count = counts[0], sum(counts)
    if component.family != "vqgan":
        cases = cases_of(component)
        for number in range(count):
            case = cases[number % len(cases)] if number < golden else USUAL
            trial = language_inputs(component, batch, SEED + number, case)
            title = f"{case.name}: {trial.description}" if case.name else trial.description
            yield _Run(title=title, inputs=trial.inputs, relevant=trial.relevant)
        return
    first = component if component.feeder is None else component.feeder
    feeder = None if component.feeder is None else reference(component.feeder, weights)
    for number in range(count):
        items = range(number * batch, (number + 1) * batch)
        inputs = {spec.name: _pictures(spec, items) for spec in first.signature.inputs}
        title = ", ".join(map(_title, items))
        if feeder is not None:
            made = feeder.run(inputs)
            inputs = {spec.name: made[spec.name] for spec in component.signature.inputs}
            title = f"{first.name}'s output for {title}"
        yield _Run(title=title, inputs=inputs, relevant={})


def _pictures(spec: TensorSpec, items: range) -> Array:
    """Return pictures [items, h, w, c]: every photograph, then every one turned, then mirrored."""
    photographs = pictures(spec, len(PHOTOGRAPHS))
    return np.stack([_turned(photographs[item % len(PHOTOGRAPHS)], _symmetry(item)) for item in items])


def _turned(picture: Array, symmetry: int) -> Array:
    turned = np.rot90(picture, symmetry % 4)
    return np.ascontiguousarray(turned if symmetry < 4 else turned[:, ::-1])


def _symmetry(item: int) -> int:
    return item // len(PHOTOGRAPHS) % SYMMETRIES


def _title(item: int) -> str:
    name, symmetry = PHOTOGRAPHS[item % len(PHOTOGRAPHS)].name, _symmetry(item)
    turned = f" turned by {90 * (symmetry % 4)} degrees" if symmetry % 4 else ""
    return f"{name}{turned}{' mirrored' if symmetry >= 4 else ''}"
