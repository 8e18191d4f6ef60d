"""The search: a walk through the file, what it found at each operator, and where the first error enters."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from lwmport.diagnosis.diagnose import diagnose
from lwmport.pipeline.bisect.anchors import Anchors, layers_of
from lwmport.pipeline.bisect.evidence import evidence_of, neighbours_of
from lwmport.pipeline.bisect.measure import EQUAL, heat_of, measured, worst_of
from lwmport.pipeline.bisect.walk import Step, Walk
from lwmport.reports.bisection import First, Measured, Tap
from lwmport.runtime.pieces.spec import Operator
from lwmport.types import Array, Progress, dtype_of

ROUNDINGS: Final = 4.0
"""Roundings of a dtype, relative to the largest value, that two ways to compute one thing may differ by."""

AMPLIFIED: Final = 10.0
"""How much larger a relative difference must be behind an operator than in front, to be called amplified."""

LESSER: Final = 1e-3
"""Errors that enter before the first one that matters are smaller than this part of the largest."""

LEAST: Final = 1 << 16
"""Bytes that an operator without weights counts as, for the bar of progress."""

UNKNOWN: Final = "The cause is not known."


@dataclass(kw_only=True)
class Place:
    """One operator at which an error enters, with all that the report says of it. ``relative`` is how large it is."""

    first: First
    relative: float


@dataclass(kw_only=True)
class Found:
    """What a walk found: every tap, every place where an error enters, and both sides' outputs by case."""

    taps: list[Tap] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    right: list[Mapping[str, Array]] = field(default_factory=list)
    whole: list[Mapping[str, Array]] = field(default_factory=list)
    refused: str = ""

    @property
    def first(self) -> First | None:
        """The first place that matters: the ones before it are far smaller."""
        if not self.places:
            return None
        largest = max(min(place.relative, 1e30) for place in self.places)
        return next(place.first for place in self.places if min(place.relative, 1e30) >= LESSER * largest)

    @property
    def others(self) -> tuple[First, ...]:
        """The other places, in order."""
        first = self.first
        return tuple(place.first for place in self.places if place.first is not first)


def search(walk: Walk, anchors: Anchors, sources: Mapping[str, str], cases: int, progress: Progress) -> Found:
    """Return what a walk to the end finds."""
    found = Found()
    costs = [_cost(walk, operator) for operator in walk.file.operators]
    total, done = sum(costs), 0
    order: list[str] = []
    for number, steps in walk.steps():
        for name, value in walk.shown(walk.file.operators[number]):
            anchors.see(name, value)
            order.append(name)
        if steps:
            _look(walk, steps, anchors, sources, found)
        done += costs[number]
        progress(walk.file.operators[number].name, done, total)
    layers = layers_of(order, anchors)
    found.taps = [replace(tap, layer=layers.get(tap.output, "")) for tap in found.taps]
    for case in range(cases):
        right, whole = walk.outputs(case)
        found.right.append(right)
        found.whole.append(whole)
    return found


def _cost(walk: Walk, operator: Operator) -> int:
    """Return the bytes of weights that an operator reads, and as much as one takes that reads none."""
    sizes = (spec for name in operator.inputs if (spec := walk.file.constants.get(name)) is not None)
    return LEAST + sum(math.prod(map(int, spec.shape)) * dtype_of(spec.dtype).itemsize for spec in sizes)


def _look(walk: Walk, steps: Sequence[Step], anchors: Anchors, sources: Mapping[str, str], found: Found) -> None:
    """Add the tap of an operator, and the place if an error enters there. The worst case speaks for all."""
    owns = [(EQUAL if step.is_own else measured(step.reference, step.own), step) for step in steps]
    wholes = [EQUAL if step.is_whole else measured(step.reference, step.whole) for step in steps]
    own, step = max(owns, key=lambda item: item[0].relative)
    whole = max(wholes, key=lambda item: item.relative)
    operator = walk.file.operators[step.number]
    enters = bool(step.refused) or own.relative > rounding_of(walk, step)
    if not (enters or own.max_abs or whole.max_abs or _is_shown(step.reference)):
        return
    named = (anchors.found[name] for name in (step.output, *operator.outputs) if name in anchors.found)
    tap = Tap(
        tap=next(named, step.output),
        node=operator.name,
        operator=operator.type,
        output=step.output,
        whole=whole,
        own=own,
        enters=enters,
        amplified=None if enters or not whole.max_abs else _amplified(steps, wholes),
    )
    found.taps.append(tap)
    if step.refused:
        found.refused = found.refused or step.refused
    if enters:
        found.places.append(Place(first=_first(walk, step, tap, sources), relative=own.relative))


def rounding_of(walk: Walk, step: Step) -> float:
    """Return the relative difference that rounding explains: none between two runs of the same operator.

    Where the file computes a tensor by another kind of operator than the reference, both round on their own.
    """
    operator = walk.file.operators[step.number]
    twin = walk.twin(operator)
    if twin is not None and twin.type == operator.type and twin.outputs == operator.outputs:
        return 0.0
    return ROUNDINGS * epsilon_of(step.reference)


def epsilon_of(value: Array) -> float:
    """Return the relative rounding of a dtype, 0 of integers."""
    if value.dtype.kind in "biu":
        return 0.0
    import ml_dtypes

    return float(ml_dtypes.finfo(dtype_of(value.dtype.name)).eps)


def _is_shown(value: Array) -> bool:
    """Return whether a tensor is worth a line where nothing differs: no shape arithmetic."""
    return value.dtype.kind not in "biu" and value.size > 1


def _amplified(steps: Sequence[Step], wholes: Sequence[Measured]) -> float | None:
    """Return how much an error has grown from the operator's inputs to its output, where it has much."""
    grown = 0.0
    for step, whole in zip(steps, wholes, strict=True):
        inputs = [
            measured(step.inputs[name], value).relative
            for name, value in step.reached.items()
            if value is not step.inputs[name] and value.dtype.kind not in "biu"
        ]
        before = max(inputs, default=0.0)
        if before and whole.relative:
            grown = max(grown, whole.relative / before)
    return grown if grown >= AMPLIFIED else None


def _first(walk: Walk, step: Step, tap: Tap, sources: Mapping[str, str]) -> First:
    operator = walk.file.operators[step.number]
    own = tap.own or EQUAL
    told = None
    if not step.refused:
        told = diagnose(evidence_of(walk, step, sources, ROUNDINGS * epsilon_of(step.reference)))
    alike = step.own.shape == step.reference.shape
    heat, axes = heat_of(step.reference, step.own) if alike else ((), "")
    return First(
        tap=tap.tap,
        node=operator.name,
        operator=operator.type,
        output=step.output,
        whole=tap.whole,
        own_inputs=own,
        cause=None if told is None else told.cause,
        explanation=told.explanation if told else _unknown(walk, step),
        neighbours=neighbours_of(walk.file, operator, {**step.inputs, step.output: step.reference}),
        heat=heat,
        axes=axes,
        worst=worst_of(step.reference, step.own) if alike else (),
    )


def _unknown(walk: Walk, step: Step) -> str:
    """Return in words what is known where no rule explains an error: what differs from the reference's operator."""
    if step.refused:
        return f"The operator does not run: {step.refused}"
    operator = walk.file.operators[step.number]
    twin = walk.twin(operator)
    if twin is None:
        return f"{UNKNOWN} The reference has no operator {operator.name} ({operator.type}) here."
    told = []
    if twin.type != operator.type:
        told.append(f"it is {operator.type} where the reference has {twin.type}")
    names = {*operator.attributes, *twin.attributes}
    for name in sorted(names):
        one, other = operator.attributes.get(name), twin.attributes.get(name)
        if not np.array_equal(np.asarray(one, object), np.asarray(other, object)) and not isinstance(one, str):
            told.append(f"{name} is {one} where the reference has {other}")
    for name, other in zip(operator.inputs, twin.inputs, strict=False):
        held, known = name in walk.file.constants, other in walk.reference.constants
        if held and known and not walk.is_equal(name, other):
            told.append(f"the values of {name} are not those of {sources_word(other)}")
        elif walk.known(name) != other and held == known:
            told.append(f"it reads {name} where the reference reads {other}")
    if step.own.shape != step.reference.shape:
        told.append(f"its output has the shape {list(step.own.shape)} where {list(step.reference.shape)} is right")
    return f"{UNKNOWN} {'; '.join(told).capitalize() or 'Its output differs'}."


def sources_word(name: str) -> str:
    """Return how a weight of the reference is called in a sentence."""
    return f"the reference's {name}"

