"""An operator with another setting, of another type, or with another input: what the file itself does not tell."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

import numpy as np

from lwmport.diagnosis.evidence import Side
from lwmport.diagnosis.formulas.table import compute
from lwmport.diagnosis.reading import plain
from lwmport.pipeline.bisect.regions import Region, Trial
from lwmport.types import Array

FAMILIES: Final = (
    ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"),
    ("And", "Or"),
    ("Add", "Sub", "Mul", "Div", "Max", "Min"),
    ("Sigmoid", "Tanh", "Exp", "Sqrt", "Reciprocal", "Rsqrt", "Neg", "Sin", "Cos"),
    ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"),
)
"""Types that are mistaken for each other."""

MODES: Final = {
    "nearest_mode": ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"),
    "coordinate_transformation_mode": ("asymmetric", "half_pixel", "align_corners"),
}
"""Settings of ONNX's Resize that say which place is the nearest."""

SMALL: Final = 4
"""Elements up to which each whole number of a constant is tried one more and one less."""

NEAR: Final = 1.25
"""A number that is so many times another one is near it."""

INPUTS: Final = 24
"""Other tensors of the same shape that are tried as an input, the last ones first."""

PARTNERS: Final = 8
"""Operators behind one whose outputs may be exchanged with its own."""


def other_numbers(region: Region, number: int) -> Iterator[Trial]:
    """Yield an operator with another single number: each that the reference's program names, and its neighbours.

    A number of the program counts if one near it would not do: else many would, and nothing tells which is right.
    """
    walk = region.walk
    operator, inputs = walk.file.operators[number], region.inputs(number)
    for place, name in enumerate(operator.inputs):
        if name in walk.file.constants and (value := walk.file.constant(name)).size <= SMALL:
            for other, near in _others(value, walk.pool.literals):
                yield Trial(
                    donor=number,
                    feeds={**inputs, name: other},
                    at=place,
                    words=f"{name} {other.tolist()}",
                    refuted=None if near is None else {**inputs, name: near},
                )


def vague_numbers(region: Region, number: int) -> Iterator[Trial]:
    """Yield the same where others would do as well: the place is told so, and no cause."""
    for trial in other_numbers(region, number):
        if trial.refuted is not None:
            yield replace(trial, refuted=None, vague=True)


def _others(value: Array, literals: set[float]) -> Iterator[tuple[Array, Array | None]]:
    """Yield other values of a constant, and one near each that must not do; None where that says nothing."""
    if value.dtype.kind in "iu":
        for place in range(value.size):
            for step in (-1, 1):
                other = value.copy()
                other.reshape(-1)[place] += step
                yield other, None
    elif value.dtype.kind == "f" and value.size == 1:
        own, lowest = float(value.reshape(-1)[0]), float(np.finfo(value.dtype).min)
        yield np.full_like(value, lowest), None
        for one in dict.fromkeys([-own, *sorted(literals), *(-one for one in literals)]):
            with np.errstate(over="ignore"):
                yield np.full_like(value, one), np.full_like(value, NEAR * one if one else own * (NEAR - 1))


def other_types(region: Region, number: int) -> Iterator[Trial]:
    """Yield an operator of another type on the same inputs, where a formula says what that gives."""
    walk = region.walk
    operator = walk.file.operators[number]
    before = region.values.get(next(filter(None, operator.outputs)))
    family = next((family for family in FAMILIES if plain(operator.type) in map(plain, family)), ())
    side = side_of(region, number)
    for kind in family:
        if plain(kind) != plain(operator.type) and before is not None:
            with np.errstate(all="ignore"):  # infinities and NaN are among what is tried
                found = compute(replace(side, type=kind))
                made = None if found is None or found.shape != before.shape else found.astype(before.dtype)
            if made is not None:
                yield Trial(donor=-1, feeds={}, type=kind, made=made, words=f"{kind} in its place")


def other_modes(region: Region, number: int) -> Iterator[Trial]:
    """Yield a Resize that takes the nearest place by another rule."""
    side, operator = side_of(region, number), region.walk.file.operators[number]
    before = region.values.get(next(filter(None, operator.outputs)))
    for key, values in MODES.items() if plain(side.type) == "resize" and before is not None else ():
        for value in values:
            settings = {key: value}
            found = compute(replace(side, attributes={**side.attributes, **settings}))
            if found is not None and before is not None and found.shape == before.shape:
                made = found.astype(before.dtype)
                yield Trial(donor=-1, feeds={}, settings=settings, made=made, words=f"the {key} {value}")


def side_of(region: Region, number: int) -> Side:
    """Return an operator of a region with all that it reads."""
    walk = region.walk
    operator = walk.file.operators[number]
    held = tuple(name in walk.file.constants for name in operator.inputs)
    values = (walk.file.constant(name) if constant else region.value(name) if name else None
              for name, constant in zip(operator.inputs, held, strict=True))  # fmt: skip
    return Side(type=operator.type, attributes=operator.attributes, inputs=tuple(values), names=operator.inputs,
                constant=held)  # fmt: skip


def unread_inputs(region: Region, number: int) -> Iterator[Trial]:
    """Yield an operator that reads a tensor which nothing reads, though it was made to be read."""
    walk = region.walk
    yield from _rewired(region, number, [one for one in _made(region, number) if one not in walk.readers])


def other_inputs(region: Region, number: int) -> Iterator[Trial]:
    """Yield an operator that reads another tensor of the same shape in the place of one."""
    yield from _rewired(region, number, [*_made(region, number), *region.walk.feeds])


def _made(region: Region, number: int) -> list[str]:
    """Return the tensors that are there before an operator, the last ones first."""
    operators = region.walk.file.operators
    return [name for one in range(number - 1, -1, -1) for name in operators[one].outputs if name]


def _rewired(region: Region, number: int, made: list[str]) -> Iterator[Trial]:
    operator, given = region.walk.file.operators[number], region.inputs(number)
    for name, value in given.items():
        alike = (other for other in made if other != name and _is_like(region.value(other), value))
        for other in islice(alike, INPUTS):
            right = region.value(other)
            if right is not None and operator.inputs.count(name) == 1:
                names = tuple(other if one == name else one for one in operator.inputs)
                yield Trial(donor=number, feeds={**given, **_constants(region, number), name: right}, names=names)
            elif right is not None:
                yield from _read_once(region, number, name, (other, right))


def _read_once(region: Region, number: int, name: str, other: tuple[str, Array]) -> Iterator[Trial]:
    """Yield an operator that reads a tensor twice, with another in each of the places."""
    side = side_of(region, number)
    for place, one in enumerate(side.names):
        if one == name:
            names = (*side.names[:place], other[0], *side.names[place + 1 :])
            inputs = (*side.inputs[:place], other[1], *side.inputs[place + 1 :])
            with np.errstate(all="ignore"):
                found = compute(replace(side, inputs=inputs))
            if found is not None and found.shape == other[1].shape:
                yield Trial(donor=number, feeds=region.inputs(number), names=names, made=found.astype(other[1].dtype))


def _constants(region: Region, number: int) -> dict[str, Array]:
    file = region.walk.file
    return {name: file.constant(name) for name in file.operators[number].inputs if name in file.constants}


def exchanged_outputs(region: Region, number: int) -> Iterator[Trial]:
    """Yield an operator whose output stands in the place of that of a later one, and the other way round."""
    walk = region.walk
    output = next(filter(None, walk.file.operators[number].outputs))
    value = region.value(output)
    behind = [one for one in region.numbers if one > number]
    for one in behind[:PARTNERS]:
        other = next(filter(None, walk.file.operators[one].outputs))
        theirs = region.value(other)
        if value is not None and theirs is not None and _is_like(theirs, value) and not _reads(region, one, output):
            yield Trial(
                donor=-1, feeds={}, made=theirs, others={other: value}, words=f"{other} in its place, and it there"
            )


def _reads(region: Region, number: int, name: str) -> bool:
    return name in region.walk.file.operators[number].inputs


def _is_like(one: Array | None, other: Array | None) -> bool:
    if one is None or other is None:
        return False
    return one.size > 1 and one.shape == other.shape and one.dtype == other.dtype and not np.array_equal(one, other)
