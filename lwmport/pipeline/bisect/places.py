"""Where errors enter a model that is matched by values: proven by a repair, or the likeliest operator of a region."""

from dataclasses import dataclass, field, replace
from math import prod
from typing import Final

from lwmport.diagnosis.evidence import Diagnosis
from lwmport.pipeline.bisect.alike import ALIKE, likeness, signature
from lwmport.pipeline.bisect.as_one import as_one
from lwmport.pipeline.bisect.by_values import ValueWalk, Wrong
from lwmport.pipeline.bisect.held_weights import read_counts
from lwmport.pipeline.bisect.misread import misread, rewired
from lwmport.pipeline.bisect.regions import Region
from lwmport.pipeline.bisect.repairs import Proof, proof_of
from lwmport.pipeline.bisect.siblings import told_by_siblings
from lwmport.pipeline.bisect.walk import LOST
from lwmport.types import Array, Progress

LAST: Final = 9
"""The rank of an operator whose output is known."""

BEYOND: Final = 2
"""Operators behind known tensors that are tried too, where nothing nearer proves to be wrong."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """One operator at which an error enters.

    ``inputs`` are the right values that it reads, ``found`` is what it gives from them, ``shown`` what the tensor
    becomes that shows the error. ``proof`` tells what should be there; None where no repair makes that tensor right.
    ``told`` is why, where a rule explains it together with the operators in front of it.
    """

    number: int
    output: str
    inputs: dict[str, Array]
    found: Array
    wrong: Wrong
    shown: Array
    proof: Proof | None = None
    told: Diagnosis | None = None


@dataclass(kw_only=True)
class Places:
    """All places of a file. ``unclear`` are regions in which nothing was proven."""

    proven: list[Place] = field(default_factory=list)
    unclear: list[Region] = field(default_factory=list)


def located(walk: ValueWalk, progress: Progress = lambda *_: None) -> list[Place]:
    """Return the places at which errors enter, in order."""
    found, done, count = Places(), 0, len(walk.file.operators)
    total = sum(walk.size_of(number) for number in range(count))
    for number, wrong in walk.steps():
        if wrong is not None:
            _explain(walk, wrong, found)
        if number < count:
            done += walk.size_of(number)
            progress(walk.file.operators[number].name, done, total)
    likely = _likely(walk, found)
    proven = [place for place in found.proven if likely is None or place.number < likely.number]
    return [*sorted(proven, key=lambda place: place.number), *([likely] if likely else [])]


def _explain(walk: ValueWalk, wrong: Wrong, found: Places) -> None:
    """Find where a tensor becomes wrong: several places, where each is proven and it is wrong still."""
    other = misread(walk, wrong) or rewired(walk, wrong)
    if other is not None:
        _add(other[0], other[1], found)
        return
    while _is_explained(walk, wrong, found) and wrong.reader < 0 and not _is_mended(walk, wrong):
        pass


def _is_mended(walk: ValueWalk, wrong: Wrong) -> bool:
    value = walk.known.values.get(wrong.tensor)
    return value is None or wrong.right is None or walk.is_right(value, wrong.right)


def _is_explained(walk: ValueWalk, wrong: Wrong, found: Places) -> bool:
    """Return whether one more place was proven."""
    near = Region(walk, wrong)
    if any(set(near.numbers) >= set(before.numbers) for before in found.unclear):
        return False  # what is wrong there reaches this tensor too
    tried, region, proof = set[int](), near, told_by_siblings(near)
    for beyond in range(BEYOND + 1):
        if proof is not None:
            break
        region = Region(walk, wrong, beyond) if beyond else near
        proof = proof_of(region, tried)
        tried.update(region.numbers)
    if proof is None:
        found.unclear.append(near)
        return False
    _add(region, proof, found)
    return True


def _add(region: Region, proof: Proof, found: Places) -> None:
    place = _place(region, proof.number, proof)
    found.proven.append(place)
    region.mend(place.number, {place.output: proof.right, **proof.values})


def _place(region: Region, number: int, proof: Proof | None) -> Place:
    output = next(filter(None, region.walk.file.operators[number].outputs))
    inputs, found = region.inputs(number), region.values.get(output, LOST)
    if proof is not None and proof.inputs is not None:
        inputs, found = dict(proof.inputs), LOST if proof.found is None else proof.found
    return Place(
        number=number,
        output=output,
        inputs=inputs,
        found=found,
        wrong=region.wrong,
        shown=region.values.get(region.wrong.tensor, LOST),
        proof=proof,
    )


def _likely(walk: ValueWalk, found: Places) -> Place | None:
    """Return the operator that most likely makes the first unclear region wrong."""
    if not found.unclear:
        return None
    first = found.unclear[0]
    if first.wrong.right is None:
        return _place(first, first.wrong.reader, None)
    one = as_one(first)
    if one is not None:
        return replace(_place(first, one.number, None), found=one.found, told=one.told)
    common = set(first.numbers).intersection(*(region.numbers for region in found.unclear))
    suspects = [number for number in first.numbers if number in common] or first.numbers
    excused = {n for region in found.unclear for n in region.numbers}
    best = min(suspects, key=lambda number: (_rank(walk, number, excused), number))
    return _place(first, best, None)


def _rank(walk: ValueWalk, number: int, excused: set[int]) -> int:
    """Return how unlikely an operator is to be wrong: least where a weight is strange, or it differs from its like."""
    operator = walk.file.operators[number]
    if any(name in walk.known.matches for name in operator.outputs):
        return LAST
    value = walk.known.values.get(next(filter(None, operator.outputs)))
    if value is None or value.dtype.kind in "biu":
        return LAST - 1
    if any(_is_strange(walk, name) for name in operator.inputs):
        return 0
    alike = [n for n in range(len(walk.file.operators)) if n not in excused and likeness(walk, number, n) >= ALIKE]
    if not alike:
        return 2
    if all(signature(walk, walk.file.operators[n]) != signature(walk, operator) for n in alike):
        return 1
    known = any(name in walk.known.matches for n in alike for name in walk.file.operators[n].outputs)
    return 3 if known else 4


def _is_strange(walk: ValueWalk, name: str) -> bool:
    """Return whether a constant is none of the checkpoint's weights, though nothing reads one of its size."""
    spec = walk.file.constants.get(name)
    if spec is None or spec.dtype[0] in "biu" or walk.weight(name) is not None:
        return False
    size, read = prod(map(int, spec.shape)), read_counts(walk)
    return size > 1 and any(entry.label not in read for entry in walk.pool.known[size])
