"""The verdict on the outputs of a model that has no manifest, with the tolerances of its component."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lwmport.pipeline.bisect.measure import measured_of
from lwmport.pipeline.validate.judge import diffs_of
from lwmport.pipeline.validate.reference_runs import ReferenceRun
from lwmport.reports.bisection import Measured
from lwmport.runtime.runners.jax import quantized
from lwmport.types import Array, Component, Status, Weights


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether all outputs that both models have are within their tolerances, and how far each is."""

    passed: bool
    outputs: tuple[tuple[str, Measured, bool], ...]
    reference: str


def judged(
    component: Component,
    weights: Weights,
    inputs: Mapping[str, Array],
    outputs: tuple[Mapping[str, Array], Mapping[str, Array]],
    precision: str,
) -> Verdict:
    """Return the verdict on ``outputs``: those of the component that are judged, and what was found of them."""
    right, found = outputs
    specs = tuple(spec for spec in component.signature.outputs if spec.name in right)
    run = ReferenceRun(
        component=component,
        inputs=inputs,
        titles=(),
        description="",
        outputs=right,
        seconds=(),
        reference="JAX",
        batch=1,
        quantized=lambda: quantized(component, weights, [inputs])[0],
    )
    given = {spec.name: found[spec.name].astype(spec.dtype) for spec in specs if spec.name in found}
    diffs = diffs_of(run, replace(component.signature, outputs=specs), [given], precision)
    told = tuple((diff.name, measured_of(diff), diff.status is Status.PASSED) for diff in diffs)
    return Verdict(passed=all(passed for *_, passed in told), outputs=told, reference=run.reference)
