"""Golden samples and calibration data of a component: real inputs, and what the reference makes of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lwmport.handoff.record import Calibration, Sample
from lwmport.handoff.staging import Staging
from lwmport.models.spec import CaseInputs
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.validate.test_inputs import Sampling, TestInputs, Trial
from lwmport.runtime.runners.jax import quantized, reference
from lwmport.types import Array, Component, Quantized, Signature, TensorSpec, Weights


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
    """What goes into a bundle: runs of the reference, and inputs alone for a quantizer; none is in both.

    ``credits`` are (name, credit) of each work that is shown in any of them.
    """

    golden: tuple[Golden, ...]
    calibration: tuple[Mapping[str, Array], ...]
    credits: tuple[tuple[str, str], ...] = ()


CALIBRATION: Final = ".calibration.npy"
"""How a compiler's own file of samples ends."""


def sample_of(staging: Staging, component: str, number: int, golden: Golden) -> Sample:
    """Take a golden run into a bundle, and return its record."""
    folder = f"golden/{component}/{number:03}"
    return Sample(
        name=f"{number:03}",
        title=golden.title,
        inputs=staging.arrays(f"{folder}/inputs", golden.inputs),
        outputs=staging.arrays(f"{folder}/outputs", golden.outputs),
        relevant=staging.arrays(f"{folder}/relevant", golden.relevant),
        vectors=staging.arrays(f"{folder}/vectors", {name: one.vectors for name, one in golden.quantized.items()}),
    )


def calibration_of(staging: Staging, component: str, runs: tuple[Mapping[str, Array], ...]) -> Calibration:
    """Return where the calibration inputs lie: among the compiler's files, where it has its own, else for themselves.

    So each lies there once: a language model's caches are larger than the model.
    """
    beside = f"compile/{component}/"
    if any(name.startswith(beside) and name.endswith(CALIBRATION) for name in staging.contents):
        return Calibration(count=len(runs), stacked={})
    return staging.calibration(f"calibration/{component}", runs)


def joined(samples: Samples) -> dict[str, Array]:
    """Return the calibration inputs [runs, ...] by name."""
    runs = samples.calibration or alike([golden.inputs for golden in samples.golden])
    return {name: np.stack([run[name] for run in runs]) for name in runs[0]}


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Inputs of one run, before a reference has seen them."""

    title: str
    made: CaseInputs


def take(  # noqa: PLR0913 - the last two have defaults
    component: Component,
    weights: Weights,
    signature: Signature,
    batch: int,
    counts: tuple[int, int],
    observer: Observer | None = None,
    *,
    sampling: Sampling | None = None,
) -> Samples:
    """Return samples of a component, in the dtypes of an artifact's signature.

    Args:
        component: the reference.
        weights: its weights, and those of its feeder.
        signature: the artifact's.
        batch: items a run.
        counts: how many golden samples, and how many for calibration.
        observer: told what is being made.
        sampling: the user's inputs, if any: the first are golden samples, those behind them are for calibration. Where
            they are fewer, there are fewer of each.
    """
    observer = observer or Silent()
    observer.phase(f"{component.name}: inputs of {counts[0]} golden samples and {counts[1]} for calibration")
    if sampling is None or sampling.given is None:
        runs = list(_runs(component, weights, batch, counts))
    else:
        runs = _given(TestInputs(component, weights, sampling).trials(batch))[: sum(counts)]
        counts = (min(counts[0], len(runs)), counts[1])
    shown = tuple(dict.fromkeys(title for run in runs for title in run.made.titles))
    calibration = alike([_cast(run.made.inputs, signature.inputs) for run in runs[counts[0] :]])
    if not counts[0]:
        return Samples(golden=(), calibration=calibration, credits=shown)
    golden, runner = runs[: counts[0]], reference(component, weights)
    observer.phase(f"{component.name}: {counts[0]} golden samples by the reference, {runner.name}")
    found = runner.run_all([run.made.inputs for run in golden], observer.progress)
    made_of = quantized(component, weights, [run.made.inputs for run in golden])
    made = (_golden(*one, signature) for one in zip(golden, found, made_of, strict=True))
    return Samples(golden=tuple(made), calibration=calibration, credits=shown)


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
    relevant = {name: mask for name, mask in run.made.relevant.items() if name in outputs and not mask.all()}
    for name, mask in relevant.items():
        outputs[name] = np.where(mask, outputs[name], np.zeros((), outputs[name].dtype))
    return Golden(
        title=run.title,
        inputs=_cast(run.made.inputs, signature.inputs),
        outputs=outputs,
        relevant=relevant,
        quantized=made_of,
    )


def _cast(arrays: Mapping[str, Array], specs: tuple[TensorSpec, ...]) -> dict[str, Array]:
    """Return arrays in the order and the dtypes of a signature."""
    return {spec.name: arrays[spec.name].astype(spec.dtype, copy=False) for spec in specs}


def _given(trials: Sequence[Trial]) -> list[_Run]:
    return [_Run(title=trial.made.description, made=trial.made) for trial in trials]


def alike(runs: Sequence[Mapping[str, Array]]) -> tuple[Mapping[str, Array], ...]:
    """Return the runs that have the shapes of the first: a quantizer reads them as one array."""
    shapes = [{name: array.shape for name, array in run.items()} for run in runs]
    return tuple(run for run, shape in zip(runs, shapes, strict=True) if shape == next(iter(shapes)))


def _runs(component: Component, weights: Weights, batch: int, counts: tuple[int, int]) -> Iterator[_Run]:
    """Yield golden runs, each case in turn, then those for calibration, all of the usual case and so of one shape."""
    maker = TestInputs(component, weights)
    cases = maker.cases
    for number in range(sum(counts)):
        case = cases[number % len(cases)] if number < counts[0] else ""
        made = maker.make(batch, number, case)
        yield _Run(title=f"{case}: {made.description}" if case else made.description, made=made)
