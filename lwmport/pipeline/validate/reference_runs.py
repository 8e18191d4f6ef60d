"""Inputs to judge on, and both sides' outputs on them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import numpy as np

from lwmport.checkpoints.stored_weights import reference_name
from lwmport.errors import CheckpointError
from lwmport.pipeline.reopen import Converted
from lwmport.pipeline.validate.input_words import InputWords, input_words
from lwmport.pipeline.validate.test_inputs import Sampling, TestInputs, described
from lwmport.runtime.runners.jax import quantized, reference
from lwmport.runtime.timed import timed_all
from lwmport.types import Array, Component, Kind, Progress, Quantized, Signature, TensorSpec, Weights

NAMED: Final = 5
"""Weights that are named in a message; the rest are counted."""

DYNAMIC_TRIAL: Final = 2
"""Batch on which a model of dynamic batch is judged: not 1, for a batch frozen to 1 must be found out."""


@dataclass(frozen=True, kw_only=True)
class ReferenceRun:
    """What a component was run on, what the reference made of it, and how long that took.

    ``case`` names what it is tried on, where there are several; ``others`` are the other runs. Those of one case are
    compared as one. ``words`` tell what all of them are made of. ``quantize`` returns what several runs quantized: the
    weights are read once for all. ``origin`` is what the inputs were made from by another component, if they were.
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
    words: InputWords | None = None
    quantize: Callable[[Sequence[Mapping[str, Array]]], list[dict[str, Quantized]]] | None = None
    origin: Mapping[str, Array] = field(default_factory=dict)

    @property
    def all(self) -> "tuple[ReferenceRun, ...]":
        """This run and the others."""
        return (self, *self.others)

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


def gather(
    component: Component,
    weights: Weights,
    batch: int,
    progress: Progress = lambda *_: None,
    sampling: Sampling | None = None,
    *,
    runner: Any = None,
) -> ReferenceRun:
    """Return JAX's outputs in every run that the component is judged on; only those like the first are timed.

    A ``runner`` that is given runs the component in place of the usual one; nothing is timed then.

    ``progress`` is called with the weights that are read, if they do not fit into memory.

    Raises:
        CheckpointError: the reference gives numbers that are not finite; the weights at fault are named.
        UsageError: the component does not take the user's inputs.
    """
    sampling = sampling or Sampling()
    trials = TestInputs(component, weights, sampling).trials(batch)
    timed = runner is None
    runner = runner or reference(component, weights)
    feeds = [trial.made.inputs for trial in trials]
    quantize = partial(quantized, component, weights)
    if runner.streamed or not timed:
        outputs: list[Mapping[str, Array]] = list(runner.run_all(feeds, progress))
        seconds: tuple[float, ...] = ()
    else:
        outputs = []
        seconds = timed_all(runner, feeds, outputs)
    _check_finite(component, weights, *outputs)
    found = [
        ReferenceRun(
            component=component,
            inputs=trial.made.inputs,
            titles=trial.made.titles,
            description=trial.made.description,
            outputs=made,
            seconds=() if number else seconds,
            reference=reference_name(runner.name, weights),
            batch=batch,
            quantized=lambda trial=trial: quantize([trial.made.inputs])[0],  # type: ignore[misc]
            quantize=quantize,
            relevant=trial.made.relevant,
            case=trial.case,
            origin=trial.made.origin,
        )
        for number, (trial, made) in enumerate(zip(trials, outputs, strict=True))
    ]
    found = _told_apart(found)
    return replace(
        found[0],
        description=described(trials),
        others=tuple(found[1:]),
        words=input_words(component, sampling, trials),
    )


def _told_apart(runs: list[ReferenceRun]) -> list[ReferenceRun]:
    """Return the runs; those of one case whose outputs cannot lie in one array each get a name of their own."""
    groups: dict[str, list[ReferenceRun]] = {}
    for run in runs:
        groups.setdefault(run.case, []).append(run)
    found: list[ReferenceRun] = []
    for case, group in groups.items():
        shapes = {tuple((name, array.ndim, array.shape[1:]) for name, array in run.outputs.items()) for run in group}
        alike = len(shapes) == 1 and all(array.ndim for array in group[0].outputs.values())
        named = (replace(run, case=f"{case} sample {number}".strip()) for number, run in enumerate(group))
        found += group if alike or len(group) == 1 else named
    return found


def joined(runs: Sequence[ReferenceRun]) -> ReferenceRun:
    """Return the runs of one case as one, whose outputs lie behind each other on the first axis."""
    if len(runs) == 1:
        return runs[0]
    first = runs[0]
    return replace(
        first,
        outputs={name: np.concatenate([one.outputs[name] for one in runs]) for name in first.outputs},
        relevant={name: np.concatenate([_of_each(one, name) for one in runs]) for name in first.relevant},
        quantized=lambda: _quantized_of(runs),
    )


def _of_each(run: ReferenceRun, name: str) -> Array:
    """Return a mask with an entry for each item of the batch, so that those of several runs lie behind each other."""
    mask, items = run.relevant[name], run.outputs[name].shape[0]
    return mask if len(mask) == items else np.repeat(mask, items, axis=0)


def _quantized_of(runs: Sequence[ReferenceRun]) -> dict[str, Quantized]:
    """Return what all runs quantized, as one."""
    together, feeds = runs[0].quantize, [run.inputs for run in runs]
    found = [run.quantized() for run in runs] if together is None else together(feeds)
    return {
        name: replace(one, vectors=np.concatenate([made[name].vectors for made in found]))
        for name, one in found[0].items()
    }


def trial_batch(signature: Signature) -> int:
    """Return the batch on which an artifact is judged."""
    size = signature.inputs[0].shape[0]
    return size if isinstance(size, int) else DYNAMIC_TRIAL


def check_given(converted: Converted, sampling: Sampling) -> None:
    """Return if every component that was converted takes the user's inputs, if there are any; nothing is run.

    Raises:
        UsageError: one does not.
    """
    for part in converted.parts if sampling.given is not None else ():
        component, weights = converted.component(part.name), converted.component_weights(part.name)
        own = sampling.of(part.signature.inputs[0].shape[0])
        TestInputs(component, weights, own).check(trial_batch(part.signature))


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


def held_against(
    run: ReferenceRun, outputs: Sequence[Mapping[str, Array]], seconds: tuple[float, ...], name: str
) -> ReferenceRun:
    """Return the run with the outputs of another model, called ``name``, as the reference."""
    others = tuple(
        replace(one, outputs=made, reference=name) for one, made in zip(run.others, outputs[1:], strict=True)
    )
    return replace(run, outputs=outputs[0], seconds=seconds, reference=name, others=others)


def quantized_for(run: ReferenceRun, candidate: Mapping[str, Array]) -> dict[str, Quantized]:
    """Return what indices were made of, if some differ; costs one more run of the reference."""
    differ = any(
        spec.kind is Kind.INDICES and not np.array_equal(run.outputs[spec.name], candidate.get(spec.name, ()))
        for spec in run.component.signature.outputs
    )
    return run.quantized() if differ else {}
