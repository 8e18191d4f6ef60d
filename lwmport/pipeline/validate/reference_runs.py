"""Inputs to judge on, and both sides' outputs on them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from lwmport.checkpoints.stored_weights import reference_name
from lwmport.errors import CheckpointError
from lwmport.pipeline.validate.test_inputs import TestInputs
from lwmport.runtime.runners.jax import quantized, reference
from lwmport.types import Array, Component, Kind, Progress, Quantized, Runner, Signature, TensorSpec, Weights

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
    """Return JAX's outputs in every case that the component is judged on; only the first case is timed.

    ``progress`` is called with the weights that are read, if they do not fit into memory.

    Raises:
        CheckpointError: the reference gives numbers that are not finite; the weights at fault are named.
    """
    maker = TestInputs(component, weights)
    cases = maker.cases
    trials = [maker.make(batch, case=case) for case in cases]
    runner = reference(component, weights)
    outputs = runner.run_all([trial.inputs for trial in trials], progress)
    _check_finite(component, weights, *outputs)
    seconds = timings(runner, trials[0].inputs)
    found = [
        ReferenceRun(
            component=component,
            inputs=trial.inputs,
            titles=trial.titles,
            description=trial.description,
            outputs=made,
            seconds=seconds if case == cases[0] else (),
            reference=reference_name(runner.name, weights),
            batch=batch,
            quantized=lambda trial=trial: quantized(component, weights, [trial.inputs])[0],  # type: ignore[misc]
            relevant=trial.relevant,
            case=case,
        )
        for case, trial, made in zip(cases, trials, outputs, strict=True)
    ]
    described = "; ".join(f"{one.case}: {one.description}" if one.case else one.description for one in found)
    return replace(found[0], description=described, others=tuple(found[1:]))


def trial_batch(signature: Signature) -> int:
    """Return the batch on which an artifact is judged."""
    size = signature.inputs[0].shape[0]
    return size if isinstance(size, int) else DYNAMIC_TRIAL


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


def held_against(run: ReferenceRun, runner: Runner, name: str) -> ReferenceRun:
    """Return the run with the outputs of another runner, called ``name``, as the reference."""
    outputs, seconds = timed(runner, run.inputs)
    others = tuple(replace(one, outputs=runner.run(one.inputs), reference=name) for one in run.others)
    return replace(run, outputs=outputs, seconds=seconds, reference=name, others=others)


def quantized_for(run: ReferenceRun, candidate: Mapping[str, Array]) -> dict[str, Quantized]:
    """Return what indices were made of, if some differ; costs one more run of the reference."""
    differ = any(
        spec.kind is Kind.INDICES and not np.array_equal(run.outputs[spec.name], candidate.get(spec.name, ()))
        for spec in run.component.signature.outputs
    )
    return run.quantized() if differ else {}


def timed(runner: Runner, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], tuple[float, ...]]:
    """Return the outputs of the first run and the seconds of each run after it."""
    return runner.run(inputs), timings(runner, inputs)


def timings(runner: Runner, inputs: Mapping[str, Array]) -> tuple[float, ...]:
    """Return the seconds of further runs; none of a runner that reads the weights as it goes."""
    taken: list[float] = []
    while not runner.streamed and len(taken) < REPEATS and sum(taken) < PATIENCE:
        start = time.perf_counter()
        runner.run(inputs)
        taken.append(time.perf_counter() - start)
    return tuple(taken)
