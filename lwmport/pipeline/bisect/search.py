"""The search: a walk through the file, what it found at each operator, and where the first error enters."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any, Final

from lwmport import plain
from lwmport.diagnosis.diagnose import diagnose
from lwmport.pipeline.bisect.anchors import Anchors, layers_of
from lwmport.pipeline.bisect.evidence import evidence_of, neighbours_of
from lwmport.pipeline.bisect.kept import Kept
from lwmport.pipeline.bisect.measure import EQUAL, heat_of, measured, worst_of
from lwmport.pipeline.bisect.walk import Step, Walk, same_setting
from lwmport.reports.bisection import First, Measured, Tap
from lwmport.runtime.pieces.spec import Operator
from lwmport.types import Array, Progress, dtype_of

ROUNDINGS: Final = 4.0
"""Roundings of a dtype, relative to the largest value, that two ways to compute one thing may differ by."""

ROUNDINGS_OF_SUMS: Final = 8.0
"""The same for two runtimes, which add in another order."""

ELSEWHERE: Final = 3e-5
"""The relative difference that two runtimes may have in float32: sums of 10,000 terms were seen to differ by 1e-5."""

AMPLIFIED: Final = 10.0
"""How much larger a relative difference must be behind an operator than in front, to be called amplified."""

LESSER: Final = 1e-3
"""Errors that enter before the first one that matters are smaller than this part of the largest."""

LEAST: Final = 1 << 16
"""Bytes that an operator without weights counts as, for the bar of progress."""

UNKNOWN: Final = "The cause is not known."


@dataclass(kw_only=True)
class Place:
    """One operator at which an error enters, with all that the report says of it.

    ``relative`` is how large it is, ``inner`` the operator's name in a local function, if it lies in one.
    """

    first: First
    relative: float
    inner: str = ""


@dataclass(kw_only=True)
class Found:
    """What a walk found: every tap, every place where an error enters, and both sides' outputs by case.

    ``unable`` are the operators that another runtime does not run alone; their values are the reference's.
    """

    taps: list[Tap] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    right: list[Mapping[str, Array]] = field(default_factory=list)
    whole: list[Mapping[str, Array]] = field(default_factory=list)
    refused: str = ""
    unable: list[str] = field(default_factory=list)

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


def search(
    walk: Walk, anchors: Anchors, sources: Mapping[str, str], cases: int, progress: Progress, kept: Kept
) -> Found:
    """Return what a walk to the end finds. It goes on where an unfinished one has stopped, if that is ``kept``."""
    found, order = Found(), list[str]()
    known = kept.read("walk")
    if known is not None:
        walk.restore(known["walk"])
        anchors.restore(known["anchors"])
        found, order = _restored(known), list(known["order"])
    costs = [_cost(walk, operator) for operator in walk.file.operators]
    total, done = sum(costs), sum(costs[: walk.start])
    for number, steps in walk.steps():
        for name, value in walk.shown(walk.file.operators[number]):
            anchors.see(name, value)
            order.append(name)
        if steps:
            _look(walk, steps, anchors, sources, found)
        done += costs[number]
        progress(walk.file.operators[number].name, done, total)
        if kept.is_due():
            kept.write("walk", {"walk": walk.state, "anchors": anchors.found, "order": order, **_plain(found)})
    _name_inner(found.places)
    layers = layers_of(order, anchors)
    found.taps = [replace(tap, layer=layers.get(tap.output, "")) for tap in found.taps]
    for case in range(cases):
        right, whole = walk.outputs(case)
        found.right.append(right)
        found.whole.append(whole)
    return found


def _plain(found: Found) -> dict[str, Any]:
    places = [[plain.encode(place.first), plain.encode(place.relative), place.inner] for place in found.places]
    return {"taps": plain.encode(found.taps), "places": places, "refused": found.refused, "unable": found.unable}


def _restored(known: Mapping[str, Any]) -> Found:
    where = "an unfinished search"
    places = [
        Place(first=plain.decode(First, first, where), relative=float(relative), inner=inner)
        for first, relative, inner in known["places"]
    ]
    taps = [plain.decode(Tap, tap, where) for tap in known["taps"]]
    return Found(taps=taps, places=places, refused=known["refused"], unable=list(known["unable"]))


def _name_inner(places: Sequence[Place]) -> None:
    """Name operators of a function by their own names where the error enters in several calls: it is the function's."""
    calls = Counter(place.inner for place in places if place.inner)
    for place in places:
        if calls[place.inner] > 1:
            place.first = replace(place.first, node=place.inner)


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
    if step.refused and walk.runtime:
        found.unable.append(operator.name)
        return
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
        place = Place(first=_first(walk, step, tap, sources), relative=own.relative, inner=operator.inner)
        found.places.append(place)


def rounding_of(walk: Walk, step: Step) -> float:
    """Return the relative difference that rounding explains: none between two runs of the same operator.

    Where the file computes a tensor by another kind of operator than the reference, both round on their own, and so do
    two runtimes.
    """
    epsilon = epsilon_of(step.reference)
    if walk.runtime:
        return max(ELSEWHERE, ROUNDINGS_OF_SUMS * epsilon)
    operator = walk.file.operators[step.number]
    twin = walk.twin(operator)
    if twin is not None and twin.type == operator.type and twin.outputs == operator.outputs:
        return 0.0
    return ROUNDINGS * epsilon


def epsilon_of(value: Array) -> float:
    """Return the relative rounding of a dtype, 0 of integers."""
    if value.dtype.kind in "biu":
        return 0.0
    import ml_dtypes

    facts: Any = ml_dtypes.finfo
    return float(facts(dtype_of(value.dtype.name)).eps)


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
    inner, _ = walk.culprit(operator)
    own = tap.own or EQUAL
    told = None
    if not step.refused:
        told = diagnose(evidence_of(walk, step, sources, ROUNDINGS * epsilon_of(step.reference)))
    cause, explanation = (None, "") if told else _by_elimination(walk, step)
    alike = step.own.shape == step.reference.shape
    heat, axes = heat_of(step.reference, step.own) if alike else ((), "")
    return First(
        tap=tap.tap,
        node=inner.name,
        operator=inner.type,
        output=step.output,
        whole=tap.whole,
        own_inputs=own,
        cause=told.cause if told else cause,
        explanation=told.explanation if told else explanation,
        neighbours=neighbours_of(walk.file, operator, {**step.inputs, step.output: step.reference}),
        heat=heat,
        axes=axes,
        worst=worst_of(step.reference, step.own) if alike else (),
    )


def _differences(walk: Walk, step: Step) -> dict[str, list[str]]:
    """Return how the operator of the file differs from the reference's, in words, by the kind of the difference."""
    operator, twin = walk.culprit(walk.file.operators[step.number])
    found: dict[str, list[str]] = {}
    if twin is None:
        return found
    if twin.type != operator.type:
        found["wrong-operator"] = [f"it is {operator.type} where the reference has {twin.type}"]
    for name in sorted({*operator.attributes, *twin.attributes}):
        one, other = operator.attributes.get(name), twin.attributes.get(name)
        if not same_setting(one, other):
            told = "a body is another one" if isinstance(one, str) and "\n" in one else f"{name} is {one}, not {other}"
            found.setdefault("wrong-attribute", []).append(told)
    for name, other in zip_longest(operator.inputs, twin.inputs, fillvalue=""):
        held, known = name in walk.file.constants, other in walk.reference.constants
        if held and known:
            if not walk.is_equal(name, other):
                found.setdefault("weights", []).append(f"the values of {name} are not those of the reference's {other}")
        elif walk.known(name) != other:
            found.setdefault("wrong-wiring", []).append(f"it reads {name} where the reference reads {other}")
    return found


def _by_elimination(walk: Walk, step: Step) -> tuple[str | None, str]:
    """Return the cause that is left where a single kind of difference is, and what is known in words."""
    if step.refused:
        return None, f"The operator does not run: {step.refused}"
    operator, twin = walk.culprit(walk.file.operators[step.number])
    if twin is None:
        return None, f"{UNKNOWN} The reference has no operator {operator.name} ({operator.type}) here."
    found = _differences(walk, step)
    words = "; ".join(word for told in found.values() for word in told)
    cause = next(iter(found)) if len(found) == 1 and "weights" not in found else None
    if cause == "wrong-wiring" and sorted(map(walk.known, operator.inputs)) == sorted(twin.inputs):
        cause = "swapped-inputs"
    if step.own.shape != step.reference.shape:
        shapes = f"{list(step.own.shape)} where {list(step.reference.shape)} is right"
        words = "; ".join(filter(None, [words, f"its output has the shape {shapes}"]))
    told = words[:1].upper() + words[1:] or "Its output differs"
    if cause is None:
        return None, f"{UNKNOWN} {told}."
    return (
        cause,
        f"{cause.replace('-', ' ').capitalize()}: {words}. Nothing else differs. Set it as the reference has it.",
    )
