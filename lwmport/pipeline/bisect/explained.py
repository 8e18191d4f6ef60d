"""What a report says of a place in a model that was matched by values."""

from collections.abc import Mapping
from dataclasses import replace

from lwmport.diagnosis.diagnose import diagnose
from lwmport.diagnosis.evidence import Diagnosis, Evidence, Side
from lwmport.pipeline.bisect.as_one import NEAR
from lwmport.pipeline.bisect.by_values import ValueWalk
from lwmport.pipeline.bisect.elimination import by_elimination
from lwmport.pipeline.bisect.evidence import around, neighbours_of, side_of
from lwmport.pipeline.bisect.measure import EQUAL, LOST, heat_of, measured, worst_of
from lwmport.pipeline.bisect.places import Place
from lwmport.pipeline.bisect.regions import Trial
from lwmport.pipeline.bisect.search import ROUNDINGS, UNKNOWN, epsilon_of
from lwmport.reports.bisection import First, Measured, Tap
from lwmport.runtime.pieces.spec import Operator
from lwmport.types import Array


def taps_of(walk: ValueWalk, places: Mapping[int, Place]) -> tuple[Tap, ...]:
    """Return every tensor of the file that is a value of the reference, and those at which an error enters."""
    found = []
    for number, operator in enumerate(walk.file.operators):
        for name in filter(None, operator.outputs):
            match, place = walk.known.matches.get(name), places.get(number)
            if (match is None or name not in walk.known.own) and (place is None or place.output != name):
                continue
            own = walk.known.own.get(name, EQUAL) if place is None else measured(right_of(walk, place), place.found)
            found.append(
                Tap(
                    tap=name if match is None else match.entry.label,
                    node=operator.name,
                    operator=operator.type,
                    output=name,
                    whole=walk.known.whole.get(name, own),
                    own=own,
                    enters=place is not None,
                )
            )
    return tuple(found)


def right_of(walk: ValueWalk, place: Place) -> Array:
    """Return what an operator should give: as proven, or the reference's value that is nearest to what it gives."""
    if place.proof is not None:
        return place.proof.right
    near = walk.pool.near(place.found, NEAR) if place.found.size > 1 else None
    return place.found if near is None else near.view.of(walk.pool.value(near.entry)).astype(place.found.dtype)


def first_of(walk: ValueWalk, place: Place) -> First:
    """Return the record of a place."""
    operator, right = walk.file.operators[place.number], right_of(walk, place)
    known = right is not place.found
    told = place.told or (_told(walk, place, right) if known else None)
    own = measured(right, place.found) if known else _shown(place)
    alike = known and right.shape == place.found.shape
    heat, axes = heat_of(right, place.found) if alike else ((), "")
    match = walk.known.matches.get(place.output)
    return First(
        tap=place.output if match is None else match.entry.label,
        node=operator.name,
        operator=operator.type,
        output=place.output,
        whole=walk.known.whole.get(place.output, own),
        own_inputs=own,
        cause=None if told is None else told.cause,
        explanation=told.explanation if told else _unknown(walk, place, operator),
        neighbours=neighbours_of(walk.file, operator, {**place.inputs, place.output: right}),
        heat=heat,
        axes=axes,
        worst=worst_of(right, place.found) if alike else (),
    )


def _told(walk: ValueWalk, place: Place, right: Array) -> Diagnosis | None:
    if place.proof is not None and place.proof.trial.vague:
        return None
    evidence = _evidence(walk, place, right)
    told = diagnose(evidence) if right.shape == place.found.shape or evidence.expected is not None else None
    replayed = place.proof is not None and bool(place.proof.trial.names)
    return by_elimination(evidence) if told is None and replayed else told


def _shown(place: Place) -> Measured:
    """Return how far the tensor is that shows an error."""
    return LOST if place.wrong.right is None else measured(place.wrong.right, place.shown)


def _evidence(walk: ValueWalk, place: Place, right: Array) -> Evidence:
    operator, trial = walk.file.operators[place.number], None if place.proof is None else place.proof.trial
    found, expected = side_of(walk.file, operator, place.inputs), None
    if trial is not None:
        changed = {**found.attributes, **trial.settings}
        own = replace(found, type=trial.type or found.type, attributes=changed)
        expected = own if trial.type or trial.settings else _expected(walk, place, trial)
    return Evidence(
        format=walk.file.format,
        expected=expected,
        found=found,
        reference=right,
        observed=place.found,
        rounding=ROUNDINGS * epsilon_of(place.found),
        source="" if trial is None else trial.weight,
        resembles=_resembling(walk, operator, trial),
        consumers=tuple(walk.file.operators[number].type for number in walk.readers.get(place.output, ())),
        expected_around=around(walk.file, operator),
        found_around=around(walk.file, operator),
    )


def _expected(walk: ValueWalk, place: Place, trial: Trial) -> Side | None:
    """Return the operator that should be there, with the names of the tensors in the file that it should read."""
    if trial.donor < 0:
        return None
    donor = walk.file.operators[trial.donor]
    if trial.names:
        return _replayed(walk, donor, trial)
    held = {name: walk.file.constant(name) for name in donor.inputs if name in walk.file.constants}
    values = tuple({**held, **trial.feeds}.get(name) for name in donor.inputs)
    own = {id(value): name for name, value in place.inputs.items()}
    return Side(
        type=donor.type,
        attributes=donor.attributes,
        inputs=values,
        names=tuple(own.get(id(value), name) for value, name in zip(values, donor.inputs, strict=True)),
        constant=tuple(name in walk.file.constants and id(trial.feeds.get(name)) not in own for name in donor.inputs),
    )


def _replayed(walk: ValueWalk, donor: Operator, trial: Trial) -> Side:
    """Return an operator of another layer as it should be in this one."""
    constant = tuple(name in walk.file.constants for name in trial.names)
    both = zip(donor.inputs, trial.names, constant, strict=True)
    return Side(
        type=donor.type,
        attributes=donor.attributes,
        inputs=tuple(walk.file.constant(ours) if held else trial.feeds.get(name) for name, ours, held in both),
        names=trial.names,
        constant=constant,
    )


def _resembling(walk: ValueWalk, operator: Operator, trial: Trial | None) -> tuple[str, ...]:
    """Return the weight that the file has in the place of the right one."""
    name = "" if trial is None or not 0 <= trial.at < len(operator.inputs) else operator.inputs[trial.at]
    match = walk.weight(name) if name in walk.file.constants else None
    return (match.entry.label,) if match is not None and trial is not None and match.entry.label != trial.weight else ()


def _unknown(walk: ValueWalk, place: Place, operator: Operator) -> str:
    """Return in words what is known where no rule explains an error."""
    if place.number in walk.known.refused:
        return f"The operator does not run: {walk.known.refused[place.number]}"
    if place.proof is None:
        label = place.wrong.label or place.wrong.tensor
        return (
            f"{UNKNOWN} {place.wrong.tensor} is not what the reference has there ({label}); of the operators in "
            "front of it this one most likely is wrong."
        )
    trial = place.proof.trial
    if trial.weight:
        return f"{UNKNOWN} With the weight {trial.weight} as input {trial.at} it gives what the reference has."
    if trial.words:
        return f"{UNKNOWN} It gives what the reference has with {trial.words}."
    donor = walk.file.operators[trial.donor]
    what = f"In its place {donor.name} ({donor.type}) of this file gives what the reference has."
    return f"{UNKNOWN} {what} {_differs(operator, donor)}".rstrip()


def _differs(operator: Operator, donor: Operator) -> str:
    """Return how an operator differs from another one, in words."""
    names = sorted({*operator.attributes, *donor.attributes})
    told = [
        f"{name} is {operator.attributes.get(name)} here and {donor.attributes.get(name)} there"
        for name in names
        if repr(operator.attributes.get(name)) != repr(donor.attributes.get(name))
    ]
    return f"{'; '.join(told).capitalize()}." if told else ""
