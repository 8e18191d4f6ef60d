"""Inputs to judge on, and both sides' outputs on them."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from lwmport.checkpoints.stored_weights import reference_name
from lwmport.errors import CheckpointError
from lwmport.pipeline.validate.test_inputs import cases_of, language_inputs
from lwmport.runtime.runners.jax import quantized, reference
from lwmport.types import Array, Component, Kind, Progress, Quantized, Runner, Signature, TensorSpec, Weights
from lwmport.validators.pictures import PHOTOGRAPHS, photographs

REPEATS: Final = 3
PATIENCE: Final = 5.0
"""Each side is timed after its first run, up to three times but for no more than about five seconds."""

NAMED: Final = 5
"""Weights that are named in a message; the rest are counted."""

DYNAMIC_TRIAL: Final = 2
"""Batch on which a model of dynamic batch is judged: not 1, for a batch frozen to 1 must be found out."""


@dataclass(frozen=True, kw_only=True)
class ReferenceRun:
    """What a component was run on, what the reference made of it, and how long that took.

    ``case`` names it where there are several; ``others`` are the other ones.
    """

    component: Component
    inputs: Mapping[str, Array]
    titles: tuple[tuple[str, str], ...]
    description: str
    outputs: Mapping[str, Array]
    seconds: tuple[float, ...]
    reference: str
    batch: int
    quantized: Callable[[], dict[str, Quantized]]
    relevant: Mapping[str, Array] = field(default_factory=dict)
    case: str = ""
    others: "tuple[ReferenceRun, ...]" = ()

    def counted(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return outputs with zeros where nothing counts: what is computed for padding is nobody's."""
        return {name: self._counted(name, array) for name, array in outputs.items()}

    def _counted(self, name: str, array: Array) -> Array:
        seen = self.relevant.get(name)
        if seen is None or array.ndim != seen.ndim:
            return array
        fits = all(size in {1, full} for size, full in zip(seen.shape, array.shape, strict=True))
        return np.where(seen, array, np.zeros((), array.dtype)) if fits else array

    def fed(self, specs: tuple[TensorSpec, ...]) -> dict[str, Array]:
        """Return the inputs in the dtypes that an artifact takes; a cache may be narrower than the reference's."""
        return {spec.name: self.inputs[spec.name].astype(spec.dtype, copy=False) for spec in specs}


def gather(component: Component, weights: Weights, batch: int, progress: Progress = lambda *_: None) -> ReferenceRun:
    """Return JAX's outputs: of the VQGAN for ``batch`` photographs, of a language component for seeded tokens.

    A component that is fed by another one gets that one's reference outputs for the photographs. ``progress`` hears of
    weights that are read on the way, if they do not fit into memory.
    """
    if component.family != "vqgan":
        return _of_language(component, weights, batch, progress)
    inputs = _inputs(component, weights, batch)
    runner = reference(component, weights)
    outputs, seconds = timed(runner, inputs)
    _check_finite(component, weights, outputs)
    names = [PHOTOGRAPHS[item % len(PHOTOGRAPHS)] for item in range(batch)]
    kind = "photographs" if component.feeder is None else f"outputs of {component.feeder.name} for photographs"
    return ReferenceRun(
        component=component,
        inputs=inputs,
        titles=tuple((name.name, name.credit) for name in names),
        description=f"{kind}: {', '.join(name.name for name in names)}",
        outputs=outputs,
        seconds=seconds,
        reference=reference_name(runner.name, weights),
        batch=batch,
        quantized=lambda: quantized(component, weights, [inputs])[0],
    )


def trial_batch(signature: Signature) -> int:
    """Return the batch on which an artifact is judged."""
    size = signature.inputs[0].shape[0]
    return size if isinstance(size, int) else DYNAMIC_TRIAL


def _of_language(component: Component, weights: Weights, batch: int, progress: Progress) -> ReferenceRun:
    """Return what the reference makes of every case; only the first one is timed."""
    runner = reference(component, weights)
    cases = cases_of(component)
    trials = [language_inputs(component, batch, case=case) for case in cases]
    outputs = runner.run_all([trial.inputs for trial in trials], progress)
    _check_finite(component, weights, *outputs)
    seconds = timings(runner, trials[0].inputs)
    found = [
        ReferenceRun(
            component=component,
            inputs=trial.inputs,
            titles=(),
            description=trial.description,
            outputs=made,
            seconds=seconds if case is cases[0] else (),
            reference=reference_name(runner.name, weights),
            batch=batch,
            quantized=dict,
            relevant=trial.relevant,
            case=case.name,
        )
        for case, trial, made in zip(cases, trials, outputs, strict=True)
    ]
    described = "; ".join(f"{one.case}: {one.description}" if one.case else one.description for one in found)
    return replace(found[0], description=described, others=tuple(found[1:]))


def _check_finite(component: Component, weights: Weights, *cases: Mapping[str, Array]) -> None:
    """Raise a CheckpointError that names the weights which are not finite, if any output of the reference is not."""
    if all(_finite(array) for outputs in cases for array in outputs.values()):
        return
    wrong = [name for name in component.weights if not _finite(weights.read(name))]
    if wrong:
        more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        raise CheckpointError(
            f"expected finite numbers in {weights.source['description']}, found NaN or infinite ones in "
            f"{', '.join(wrong[:NAMED])}{more}; {component.name} gives NaN with them: train or copy them again"
        )


def _finite(array: Array) -> bool:
    return bool(np.isfinite(array).all())


def held_against(evidence: ReferenceRun, runner: Runner, name: str) -> ReferenceRun:
    """Return the evidence with the outputs of another runner, called ``name``, as the reference."""
    outputs, seconds = timed(runner, evidence.inputs)
    others = tuple(replace(one, outputs=runner.run(one.inputs), reference=name) for one in evidence.others)
    return replace(evidence, outputs=outputs, seconds=seconds, reference=name, others=others)


def quantized_for(evidence: ReferenceRun, candidate: Mapping[str, Array]) -> dict[str, Quantized]:
    """Return what indices were made of, if some differ; costs one more run of the reference."""
    differ = any(
        spec.kind is Kind.INDICES and not np.array_equal(evidence.outputs[spec.name], candidate.get(spec.name, ()))
        for spec in evidence.component.signature.outputs
    )
    return evidence.quantized() if differ else {}


def timed(runner: Runner, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], tuple[float, ...]]:
    """Return the outputs of the first run and the seconds of each run after it."""
    return runner.run(inputs), timings(runner, inputs)


def timings(runner: Runner, inputs: Mapping[str, Array]) -> tuple[float, ...]:
    """Return the seconds of further runs; none of a runner that reads the weights as it goes."""
    taken: list[float] = []
    streamed = getattr(runner, "streamed", False)
    while not streamed and len(taken) < REPEATS and sum(taken) < PATIENCE:
        start = time.perf_counter()
        runner.run(inputs)
        taken.append(time.perf_counter() - start)
    return tuple(taken)


def threads() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def _inputs(component: Component, weights: Weights, batch: int) -> dict[str, Array]:
    if component.feeder is None:
        return {spec.name: pictures(spec, batch) for spec in component.signature.inputs}
    made = reference(component.feeder, weights).run(_inputs(component.feeder, weights, batch))
    return {spec.name: made[spec.name] for spec in component.signature.inputs}


def pictures(spec: TensorSpec, batch: int) -> Array:
    """Return photographs [batch, h, w, c]; other channel counts than 3 are filled with their mean."""
    side, channels = int(spec.shape[1]), int(spec.shape[3])
    found = photographs(min(batch, len(PHOTOGRAPHS)), side)
    if channels != 3:
        found = np.repeat(found.mean(axis=-1, keepdims=True, dtype=np.float32), channels, axis=-1)
    return np.resize(found, (batch, *found.shape[1:]))
