"""What could stand in the place of an operator that may be wrong: the file's other operators, and other weights.

A repair that makes the wrong tensor right proves the place, and tells what should be there.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations, permutations
from typing import Any, Final

import numpy as np

from lwmport.pipeline.bisect.alike import ALIKE, is_data, is_setting, likeness, signature
from lwmport.pipeline.bisect.by_values import ValueWalk
from lwmport.pipeline.bisect.held_weights import beside, candidates, laid_out_as, read_counts
from lwmport.pipeline.bisect.pool import Entry
from lwmport.pipeline.bisect.regions import Region, Trial
from lwmport.pipeline.bisect.variants import (
    exchanged_outputs,
    other_inputs,
    other_modes,
    other_numbers,
    other_types,
    unread_inputs,
    vague_numbers,
)
from lwmport.runtime.pieces.spec import Operator
from lwmport.types import Array

DONORS: Final = 24
"""Other operators of the file that are tried in one place."""

COMMUTES: Final = frozenset({"Add", "Mul", "Max", "Min", "And", "Or", "Equal", "ADD", "MUL", "MAXIMUM", "MINIMUM"})
"""Types whose inputs may change places."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A trial that makes a wrong tensor right: the place, what should be there, and the right output.

    Where it is told by another layer, ``values`` are all tensors of the region as they should be, ``inputs`` what the
    operator reads of these, and ``found`` is what it gives from them.
    """

    number: int
    trial: Trial
    right: Array
    inputs: Mapping[str, Array] | None = None
    found: Array | None = None
    values: Mapping[str, Array] = field(default_factory=dict)


def proof_of(region: Region, tried: Collection[int] = ()) -> Proof | None:
    """Return the first repair of a region that makes its tensor right; likely ones are tried first.

    Operators that were ``tried`` in a smaller region are left out.
    """
    trials_of = (
        *(_swapped, _reweighted, _weighted_as_there, _from_its_like, _laid_out, other_numbers, unread_inputs),
        *(other_types, other_modes, _donated, _left_out, other_inputs, _relaid, vague_numbers, exchanged_outputs),
    )
    for trials in trials_of:
        for number in (number for number in region.numbers if number not in tried):
            spare = None
            for trial in trials(region, number):
                value = region.made_by(number, trial)
                if value is None:
                    continue
                before = region.values.get(next(filter(None, region.walk.file.operators[number].outputs)))
                if before is not None and same(value, before):
                    continue
                proof = Proof(number=number, trial=trial, right=value, values=trial.others)
                if region.proves(number, value, trial.others) and not _would_do(region, number, trial):
                    return proof
                if spare is None and _does_its_use(region, number, trial, value):
                    spare = proof  # another layout of the same weight may do more
            if spare is not None:
                return spare
    return None


def _would_do(region: Region, number: int, trial: Trial) -> bool:
    """Return whether the tensor becomes right too with what must not do."""
    if trial.refuted is None:
        return False
    value = region.made_by(number, replace(trial, feeds=trial.refuted))
    return value is not None and region.proves(number, value)


def _does_its_use(region: Region, number: int, trial: Trial, value: Array) -> bool:
    """Return whether an operator gives a value of the reference with another weight, and its own cannot be right.

    Its own is none of the checkpoint's, or one that the reference has nowhere beside what the operator reads. So a
    place is proven even where another weight behind it is wrong too: a norm has a gain and a bias.
    """
    walk = region.walk
    names = walk.file.operators[number].inputs
    held = names[trial.at] if 0 <= trial.at < len(names) else ""
    if held not in walk.file.constants or (match := walk.pool.match(value)) is None:
        return False
    own = walk.weight(held)
    if own is not None:
        return trial.weight in _labels_there(region, number) and not _is_there(region, number, own.entry.label)
    results = [walk.pool.numbers.get(use.result) for use in walk.pool.uses.get(trial.weight, ())]
    return trial.weight not in read_counts(walk) and any(match.entry is entry for entry in results)


def same(one: Array, other: Array) -> bool:
    """Return whether a trial changes nothing."""
    return one.dtype == other.dtype and bool(np.array_equal(one, other))


def _swapped(region: Region, number: int) -> Iterator[Trial]:
    """Yield an operator with two of its inputs in each other's place."""
    operator = region.walk.file.operators[number]
    if operator.type in COMMUTES:
        return
    given = given_to(region, number)
    for one, other in combinations([place for place, value in enumerate(given) if value is not None], 2):
        names, first, second = operator.inputs, given[one], given[other]
        alike = first is not None and second is not None and first.dtype == second.dtype and names[one] != names[other]
        if alike and names.count(names[one]) == names.count(names[other]) == 1:
            feeds = {name: value for name, value in zip(names, given, strict=True) if name and value is not None}
            feeds[names[one]], feeds[names[other]] = feeds[names[other]], feeds[names[one]]
            yield Trial(donor=number, feeds=feeds, words=f"inputs {one} and {other} changed places")


def _relaid(region: Region, number: int) -> Iterator[Trial]:
    """Yield an operator with other weights in any order of axes, where no other tells how they lie."""
    yield from _reweighted(region, number, anyhow=True)


def _reweighted(region: Region, number: int, *, anyhow: bool = False) -> Iterator[Trial]:
    """Yield an operator with other weights: its own laid out as elsewhere in the file, and those that nothing reads."""
    walk = region.walk
    operator = walk.file.operators[number]
    for place, name in enumerate(operator.inputs):
        if name not in walk.file.constants or (spec := walk.file.constants[name]).dtype[0] in "biu":
            continue
        shape = tuple(int(size) for size in spec.shape)
        if int(np.prod(shape)) < 2:
            continue
        for weight, value in candidates(walk, operator, place, shape, anyhow=anyhow):
            feeds = {**region.inputs(number), name: value.astype(walk.file.constant(name).dtype)}
            yield Trial(donor=number, feeds=feeds, weight=weight, at=place)


def _weighted_as_there(region: Region, number: int) -> Iterator[Trial]:
    """Yield an operator with each weight that the reference has beside what it reads, though others read that too."""
    walk = region.walk
    operator, labels = walk.file.operators[number], _labels_there(region, number)
    for place, name in enumerate(operator.inputs):
        if name in walk.file.constants and not is_setting(walk, name):
            for label in labels:
                for value in laid_out_as(walk, operator, place, label):
                    yield Trial(donor=number, feeds={**region.inputs(number), name: value}, weight=label, at=place)


def _labels_there(region: Region, number: int) -> list[str]:
    """Return the weights that the reference has beside what an operator reads, and that none has read rightly."""
    found = (label for entry in _read(region, number) for label, _ in beside(region.walk, entry))
    return list(dict.fromkeys(found))


def _is_there(region: Region, number: int, label: str) -> bool:
    """Return whether the reference has a weight beside what an operator reads."""
    pool = region.walk.pool
    operands = [pool.numbers.get(one) for use in pool.uses.get(label, ()) for one in use.operands]
    return any(entry is one for entry in _read(region, number) for one in operands)


def _read(region: Region, number: int) -> list[Entry]:
    """Return the values of the reference that an operator reads."""
    walk = region.walk
    matches = (walk.known.matches.get(name) for name in walk.data(walk.file.operators[number]))
    return [match.entry for match in matches if match is not None]


def _from_its_like(region: Region, number: int) -> Iterator[Trial]:
    """Yield operators of the same type, between neighbours of the same types, with the inputs of this one."""
    yield from _donated(region, number, ALIKE)


def _donated(region: Region, number: int, least: int = 1) -> Iterator[Trial]:
    """Yield other operators of the file with the inputs of this one, those that stand in like places first."""
    walk = region.walk
    operator, given = walk.file.operators[number], given_to(region, number)
    data = [value for name, value in zip(operator.inputs, given, strict=True) if is_data(walk, name)]
    seen, count = {signature(walk, operator)}, 0
    for other in sorted(range(len(walk.file.operators)), key=lambda one: -likeness(walk, number, one)):
        donor = walk.file.operators[other]
        if likeness(walk, number, other) < least or count >= DONORS or (told := signature(walk, donor)) in seen:
            continue
        names = [name for name in donor.inputs if is_data(walk, name)]
        if len(names) != len(data) or len(set(names)) != len(names):
            continue
        feeds = dict(zip(names, data, strict=True))
        for place, name in enumerate(donor.inputs):
            if name and name not in feeds and not is_setting(walk, name):
                own = operator.inputs[place] if place < len(operator.inputs) else ""
                if own in walk.file.constants and not is_setting(walk, own):
                    feeds[name] = walk.file.constant(own)
        seen.add(told)
        count += 1
        yield Trial(donor=other, feeds={name: value for name, value in feeds.items() if value is not None})
        yield from _with_unread(walk, donor, operator, feeds, other)


def _with_unread(
    walk: ValueWalk, donor: Operator, operator: Operator, feeds: Mapping[str, Any], number: int
) -> Iterator[Trial]:
    """Yield a donor that reads one weight more than the operator, with each weight that nothing reads."""
    if donor.type != operator.type or len(donor.inputs) != len(operator.inputs) + 1:
        return
    place = len(operator.inputs)
    if donor.inputs[place] not in walk.file.constants:
        return
    outputs = [walk.known.values.get(name) for name in operator.outputs]
    for size in {value.shape[axis] for value in outputs if value is not None for axis in range(value.ndim)}:
        for label, value in candidates(walk, donor, place, (size,)):
            dtype = walk.file.constants[donor.inputs[place]].dtype
            yield Trial(donor=number, feeds={**feeds, donor.inputs[place]: value.astype(dtype)}, weight=label, at=place)


def _laid_out(region: Region, number: int) -> Iterator[Trial]:
    """Yield the input of an operator that changes the order of axes, in each order."""
    operator = region.walk.file.operators[number]
    output = region.values.get(next(filter(None, operator.outputs)))
    for name, value in region.inputs(number).items() if "transpose" in operator.type.lower() else ():
        for order in permutations(range(value.ndim)):
            if output is None or output.size == value.size:
                settings = {"perm": list(order)} if "perm" in operator.attributes else {}
                words = f"perm {list(order)}"
                yield Trial(donor=-1, feeds={name: value.transpose(order)}, settings=settings, words=words)


def _left_out(region: Region, number: int) -> Iterator[Trial]:
    """Yield each input of an operator as its output: the operator is one too many."""
    operator = region.walk.file.operators[number]
    output = region.values.get(next(filter(None, operator.outputs)))
    for name, value in region.inputs(number).items():
        if output is not None and value.shape == output.shape and value.dtype == output.dtype:
            yield Trial(donor=-1, feeds={name: value}, words=f"{name} as it is")


def given_to(region: Region, number: int) -> list[Array | None]:
    """Return the values of all inputs of an operator."""
    walk = region.walk
    operator = walk.file.operators[number]
    return [
        (walk.file.constant(name) if name in walk.file.constants else region.value(name)) if name else None
        for name in operator.inputs
    ]
