"""What could stand in the place of an operator that may be wrong: the file's other operators, and other weights.

A repair that makes the wrong tensor right proves the place, and tells what should be there.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations, permutations
from math import prod
from typing import Any, Final

import numpy as np

from lwmport.pipeline.bisect.by_values import ValueWalk
from lwmport.pipeline.bisect.pool import Entry
from lwmport.pipeline.bisect.regions import Region, Trial
from lwmport.pipeline.bisect.variants import (
    exchanged_outputs,
    other_inputs,
    other_numbers,
    other_types,
    unread_inputs,
    vague_numbers,
)
from lwmport.pipeline.bisect.views import View, longer
from lwmport.runtime.pieces.spec import Operator
from lwmport.types import Array

SMALL: Final = 64
"""Elements up to which a constant is a setting (an axis, a shape, an epsilon) and no weight."""

DONORS: Final = 24
"""Other operators of the file that are tried in one place."""

ALIKE: Final = 6
"""`likeness` of two operators of one type between neighbours of the same types."""

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
        *(_swapped, _reweighted, _from_its_like, _laid_out, other_numbers, unread_inputs, other_types, _donated),
        *(_left_out, other_inputs, _relaid, vague_numbers, exchanged_outputs),
    )
    for trials in trials_of:
        for number in (number for number in region.numbers if number not in tried):
            for trial in trials(region, number):
                value = region.made_by(number, trial)
                if value is None:
                    continue
                before = region.values.get(next(filter(None, region.walk.file.operators[number].outputs)))
                if before is not None and same(value, before):
                    continue
                mended = region.proves(number, value, trial.others) and not _would_do(region, number, trial)
                if mended or _does_its_use(region, number, trial, value):
                    return Proof(number=number, trial=trial, right=value, values=trial.others)
    return None


def _would_do(region: Region, number: int, trial: Trial) -> bool:
    """Return whether the tensor becomes right too with what must not do."""
    if trial.refuted is None:
        return False
    value = region.made_by(number, replace(trial, feeds=trial.refuted))
    return value is not None and region.proves(number, value)


def _does_its_use(region: Region, number: int, trial: Trial, value: Array) -> bool:
    """Return whether an operator whose constant is none of the weights gives, with one that nothing reads, its use.

    So a place is proven even where another weight behind it is wrong too: a norm has a gain and a bias.
    """
    walk = region.walk
    names = walk.file.operators[number].inputs
    held = names[trial.at] if 0 <= trial.at < len(names) else ""
    if held not in walk.file.constants or walk.weight(held) is not None or trial.weight in read_counts(walk):
        return False
    match = walk.pool.match(value)
    results = [walk.pool.numbers.get(use.result) for use in walk.pool.uses.get(trial.weight, ())]
    return match is not None and any(match.entry is entry for entry in results)


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


def candidates(
    walk: ValueWalk, operator: Operator, place: int, shape: tuple[int, ...], *, anyhow: bool = False
) -> Iterator[tuple[str, Array]]:
    """Yield weights that an input may hold, as the file lays them out: its own first, then those that nothing reads.

    ``anyhow`` yields them in every order of axes, if no operator of that type tells in which they lie.
    """
    name = operator.inputs[place] if place < len(operator.inputs) else ""
    own = walk.weight(name) if name in walk.file.constants else None
    counts = read_counts(walk)
    unread = [entry for entry in walk.pool.known[prod(shape)]
              if counts[entry.label] < max(len(walk.pool.uses.get(entry.label, ())), 1)]  # fmt: skip
    for entry in dict.fromkeys(([own.entry] if own else []) + unread):
        for value in _laid_out_in(walk, operator.type, place, entry, shape, anyhow=anyhow):
            yield entry.label, value


def laid_out_as(walk: ValueWalk, operator: Operator, place: int, label: str) -> Iterator[Array]:
    """Yield a weight as an input of an operator may hold it, in its dtype."""
    held = walk.file.constants[operator.inputs[place]]
    shape = tuple(int(size) for size in held.shape)
    for entry in walk.pool.known[prod(shape)]:
        if entry.label == label:
            for value in _laid_out_in(walk, operator.type, place, entry, shape):
                yield value.astype(walk.file.constant(held.name).dtype)


def _laid_out_in(
    walk: ValueWalk, kind: str, place: int, entry: Entry, shape: tuple[int, ...], *, anyhow: bool = False
) -> Iterator[Array]:
    split = longer(entry.shape)
    orders = usual_orders(walk, kind, place, len(split))
    if anyhow:
        orders = [] if orders else [(order, 0) for order in permutations(range(len(split)))]
    for order, halves in orders:
        if [split[axis] for axis in order] == list(longer(shape)):
            yield View(split=split, order=order, shape=shape, halves=halves).of(walk.pool.value(entry))


def read_counts(walk: ValueWalk) -> Counter[str]:
    """Return by how many operators of the file each weight is read."""
    found: Counter[str] = Counter()
    for name, readers in walk.readers.items():
        match = walk.weight(name) if name in walk.file.constants else None
        if match is not None:
            found[match.entry.label] += len(readers)
    return found


def usual_orders(walk: ValueWalk, kind: str, place: int, axes: int) -> list[tuple[tuple[int, ...], int]]:
    """Return in which orders, and with which halves, the weights lie that operators of a type read in a place.

    The most frequent one comes first.
    """
    counted: Counter[tuple[tuple[int, ...], int]] = Counter()
    for operator in walk.file.operators:
        name = operator.inputs[place] if operator.type == kind and place < len(operator.inputs) else ""
        match = walk.weight(name) if name in walk.file.constants else None
        if match is not None and len(match.view.order) == axes:
            counted[match.view.order, match.view.halves] += 1
    return [order for order, _ in counted.most_common()]


def _from_its_like(region: Region, number: int) -> Iterator[Trial]:
    """Yield operators of the same type, between neighbours of the same types, with the inputs of this one."""
    yield from _donated(region, number, ALIKE)


def _donated(region: Region, number: int, least: int = 1) -> Iterator[Trial]:
    """Yield other operators of the file with the inputs of this one, those that stand in like places first."""
    walk = region.walk
    operator, given = walk.file.operators[number], given_to(region, number)
    data = [value for name, value in zip(operator.inputs, given, strict=True) if _is_data(walk, name)]
    seen, count = {signature(walk, operator)}, 0
    for other in sorted(range(len(walk.file.operators)), key=lambda one: -likeness(walk, number, one)):
        donor = walk.file.operators[other]
        if likeness(walk, number, other) < least or count >= DONORS or (told := signature(walk, donor)) in seen:
            continue
        names = [name for name in donor.inputs if _is_data(walk, name)]
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
                yield Trial(donor=-1, feeds={name: value.transpose(order)}, words=f"perm {list(order)}")


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


def signature(walk: ValueWalk, operator: Operator) -> tuple[Any, ...]:
    """Return what makes an operator another one beside its inputs and weights: type, settings, small constants."""
    settings = tuple(sorted((name, repr(value)) for name, value in operator.attributes.items()))
    held = tuple(
        walk.file.constant(name).tobytes() if name in walk.file.constants and is_setting(walk, name) else b""
        for name in operator.inputs
    )
    return operator.type, settings, held


def likeness(walk: ValueWalk, number: int, other: int) -> int:
    """Return how like two operators are by their type and those of their neighbours; 0 for not at all."""
    one, two = walk.file.operators[number], walk.file.operators[other]
    if number == other or len(walk.data(one)) != len(walk.data(two)):
        return 0
    found = 3 * (one.type == two.type)
    found += 2 * bool(_consumers(walk, one) & _consumers(walk, two))
    return found + bool(_producers(walk, one) & _producers(walk, two))


def _consumers(walk: ValueWalk, operator: Operator) -> set[str]:
    numbers = [number for name in operator.outputs for number in walk.readers.get(name, ())]
    return {walk.file.operators[number].type for number in numbers}


def _producers(walk: ValueWalk, operator: Operator) -> set[str]:
    return {walk.file.operators[walk.makers[name]].type for name in operator.inputs if name in walk.makers}


def _is_data(walk: ValueWalk, name: str) -> bool:
    return bool(name) and name not in walk.file.constants


def is_setting(walk: ValueWalk, name: str) -> bool:
    """Return whether a constant is no weight: whole numbers, or a single one."""
    spec = walk.file.constants[name]
    return spec.dtype[0] in "biu" or int(np.prod([int(size) for size in spec.shape])) <= 1
