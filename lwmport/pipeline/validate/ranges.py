"""Does a narrow dtype hold every value of a model? The reference runs in float32, and each value is held against it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from lwmport.atomic import is_interruption
from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.errors import said
from lwmport.models.options import Options
from lwmport.models.rounding import without_rounding
from lwmport.models.wide_parts import holds
from lwmport.pipeline.validate.reference_runs import ReferenceRun
from lwmport.reports.record import ComponentReport
from lwmport.runtime.runners.jax import reference
from lwmport.types import Array, Component, Status, Weights
from lwmport.validators.ranges import OperatorRange, Ranges, judged, limits_of, operator_range, unjudged
from lwmport.verdicts import Fault


def ranges_of(
    component: Component, weights: Weights, cases: Sequence[Mapping[str, Array]], dtype: str, keep: Sequence[str] = ()
) -> Ranges:
    """Return the verdict on each value that a component has in a dtype, over all cases, and on its weights.

    Weights are read one at a time, and the reference runs as it does for a verdict: memory is what that takes.

    Args:
        component: in float32.
        weights: those that are converted; the exact ones behind them are looked at.
        cases: inputs by name.
        dtype: float16 or bfloat16.
        keep: patterns of what stays in float32.
    """
    component = without_rounding(component)
    weights = weights.exact if isinstance(weights, StoredWeights) else weights
    try:
        found = _Found(dtype)
        for inputs in cases:
            found.take(component, weights, keep, inputs)
        narrow = [name for name in component.weights if name not in component.kept and not holds(name, keep)]
        tensors = list(_of_weights(weights, narrow, dtype))
    except Exception as error:  # a model of another package may hold what cannot be widened
        if is_interruption(error):
            raise
        return unjudged(dtype, said(error))
    over = [one.name.rpartition("/")[0] for one in tensors if one.headroom_bits <= 0]
    return judged(dtype, found.ranges(), tensors, (*over, *found.advice()))


def with_ranges(section: ComponentReport, found: Ranges) -> ComponentReport:
    """Return a report with what was found on ranges: a fault where a value overflows, else a remark."""
    if found.status is Status.PASSED:
        return replace(section, ranges=found, notes=(*section.notes, f"{found.words}."))
    fault = Fault(status=found.status, reason=found.words)
    return replace(section, ranges=found, faults=(*section.faults, fault))


def with_ranges_of_failed(
    section: ComponentReport, run: ReferenceRun, weights: Weights, options: Options
) -> ComponentReport:
    """Return a report on a model in a narrow precision; of one that failed, with what its values are beside its limits.

    That is one more run of the reference, on the first inputs.
    """
    if options.precision == "float32" or section.validation.status is not Status.FAILED:
        return section
    found = ranges_of(run.component, weights, [run.inputs], options.precision, options.keep_float32)
    if found.status is Status.NOT_JUDGED:
        return replace(section, ranges=found, notes=(*section.notes, found.words))
    return with_ranges(section, found)


class _Found:
    """What operators give, over several runs: of several values of one name, the largest."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self._measures: dict[str, Array] = {}
        self._readers: dict[str, dict[str, None]] = {}

    def take(self, component: Component, weights: Weights, keep: Sequence[str], inputs: Mapping[str, Array]) -> None:
        """Run the component on some inputs."""
        from lwmport.models.ranges import observed  # it needs JAX

        seen = observed(component, self._dtype, keep, inputs)
        for label, measure in sorted(reference(seen.component, weights).run(dict(inputs)).items()):
            name = "/".join(seen.makers[label])
            self._measures[name] = np.maximum(self._measures.get(name, np.zeros(3)), measure)
            if self._of(name).headroom_bits <= 0:
                self._readers.setdefault(name, {}).update(dict.fromkeys(map("/".join, seen.readers[label])))

    def ranges(self) -> Iterator[OperatorRange]:
        """Yield what each operator gives, in the order of computation."""
        yield from map(self._of, self._measures)

    def advice(self) -> Iterator[str]:
        """Yield the operators that have to stay in float32: those that make a value which overflows, or read it."""
        for name, readers in self._readers.items():
            yield from (name, *readers)

    def _of(self, name: str) -> OperatorRange:
        return operator_range(name, self._dtype, *map(float, self._measures[name]))


def _of_weights(weights: Weights, names: Sequence[str], dtype: str) -> Iterator[OperatorRange]:
    limits = limits_of(dtype)
    for name in names:
        size = np.abs(weights.read(name).astype(np.float32, copy=False))
        tiny = np.count_nonzero((size > 0) & (size < float(limits.smallest_normal)))
        lost = np.count_nonzero((size > 0) & (size <= float(limits.smallest_subnormal) / 2))
        count = max(size.size, 1)
        yield operator_range(name, dtype, float(size.max(initial=0)), float(tiny / count), float(lost / count))
