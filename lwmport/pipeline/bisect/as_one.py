"""Several operators of a file taken as one: the reference's operator in their place, and why they give another value.

A tensor that is nearly one of the reference's values is held against it, with the known values that it is made of: so
a chain of operators that approximates one function is recognised, whatever it is made of.
"""

from dataclasses import dataclass
from typing import Final

from lwmport.diagnosis.diagnose import diagnose
from lwmport.diagnosis.evidence import Diagnosis, Evidence, Side
from lwmport.diagnosis.reading import REGION
from lwmport.pipeline.bisect.by_values import ValueWalk
from lwmport.pipeline.bisect.regions import Region
from lwmport.pipeline.bisect.search import ROUNDINGS, epsilon_of
from lwmport.types import Array

NEAR: Final = 0.5
"""How far, relative to its size, a value may be from the reference's that it is held against, if nothing is proven."""

MOST: Final = 2
"""Known values that operators may read to be taken as one."""

OPERATOR: Final = "wrong-operator"
"""The cause that an operator which reads one tensor twice only seems to have: x x is a square, or a lost factor."""


@dataclass(frozen=True, kw_only=True)
class AsOne:
    """The last of some operators that are taken as one, its output and what that is, and why it is wrong."""

    number: int
    output: str
    found: Array
    told: Diagnosis


def as_one(region: Region) -> AsOne | None:
    """Return the first operator of a region that a rule explains, together with those in front of it."""
    walk = region.walk
    for number in region.numbers:
        output = next(filter(None, walk.file.operators[number].outputs))
        found = region.value(output)
        if found is None or found.dtype.kind != "f" or output in walk.known.matches:
            continue
        told = _told(walk, found, _given(region, output))
        if told is not None and not (told.cause == OPERATOR and _reads_twice(region, number)):
            return AsOne(number=number, output=output, found=found, told=told)
    return None


def _reads_twice(region: Region, last: int) -> bool:
    """Return whether an operator of a region, up to a last one, reads one tensor in two places."""
    read = (region.walk.data(region.walk.file.operators[number]) for number in region.numbers if number <= last)
    return any(len(set(names)) < len(names) for names in read)


def _told(walk: ValueWalk, found: Array, given: dict[str, Array]) -> Diagnosis | None:
    near = walk.pool.near(found, NEAR) if 1 <= len(given) <= MOST else None
    right = found if near is None else near.view.of(walk.pool.value(near.entry)).astype(found.dtype)
    read = (walk.known.matches[name].entry for name in given if name in walk.known.matches)
    if near is None or right.shape != found.shape or any(entry is near.entry for entry in read):
        return None  # what is read is no result
    held = (False,) * len(given)
    side = Side(type=REGION, inputs=tuple(given.values()), names=tuple(given), constant=held)
    rounding = ROUNDINGS * epsilon_of(found)
    evidence = Evidence(
        format=walk.file.format, expected=side, found=None, reference=right, observed=found, rounding=rounding
    )
    return diagnose(evidence)


def _given(region: Region, output: str) -> dict[str, Array]:
    """Return the known values that a tensor is made of."""
    walk, found, left = region.walk, dict[str, Array](), [output]
    while left:
        name = left.pop()
        value = region.value(name)
        if value is not None and (name in walk.known.matches or walk.makers.get(name, -1) not in region.numbers):
            found[name] = value
        elif name in walk.makers:
            left += walk.data(walk.file.operators[walk.makers[name]])
    return found
