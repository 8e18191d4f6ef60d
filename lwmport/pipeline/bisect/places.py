"""Where errors enter a model that is matched by values: proven by a repair, or the likeliest operator of a region."""

from dataclasses import dataclass, field

from lwmport.pipeline.bisect.by_values import ValueWalk, Wrong
from lwmport.pipeline.bisect.regions import Region
from lwmport.pipeline.bisect.repairs import Proof, likeness, proof_of, signature
from lwmport.types import Array, Progress


@dataclass(frozen=True, kw_only=True)
class Place:
    """One operator at which an error enters.

    ``inputs`` are the right values that it reads, ``found`` is what it gives from them. ``proof`` tells what should be
    there; None where no repair makes the tensor that shows the error right.
    """

    number: int
    output: str
    inputs: dict[str, Array]
    found: Array
    wrong: Wrong
    proof: Proof | None = None


@dataclass(kw_only=True)
class Places:
    """All places of a file. ``unclear`` are regions in which nothing was proven."""

    proven: list[Place] = field(default_factory=list)
    unclear: list[Region] = field(default_factory=list)


def located(walk: ValueWalk, progress: Progress = lambda *_: None) -> list[Place]:
    """Return the places at which errors enter, in order."""
    found, total = Places(), len(walk.file.operators)
    for number, wrong in walk.steps():
        if wrong is not None:
            _explain(walk, wrong, found)
        if number < total:
            progress(walk.file.operators[number].name, number + 1, total)
    likely = _likely(walk, found)
    return sorted([*found.proven, *([likely] if likely else [])], key=lambda place: place.number)


def _explain(walk: ValueWalk, wrong: Wrong, found: Places) -> None:
    region = Region(walk, wrong)
    if not region.numbers:
        return
    if any(set(region.numbers) >= set(before.numbers) for before in found.unclear):
        return  # what is wrong there reaches this tensor too
    proof = proof_of(region)
    if proof is None:
        found.unclear.append(region)
        return
    found.proven.append(_place(region, proof.number, proof))
    region.mend(proof.number, proof.right)


def _place(region: Region, number: int, proof: Proof | None) -> Place:
    output = next(filter(None, region.walk.file.operators[number].outputs))
    inputs = region.inputs(number)
    found = region.values[output]
    return Place(number=number, output=output, inputs=inputs, found=found, wrong=region.wrong, proof=proof)


def _likely(walk: ValueWalk, found: Places) -> Place | None:
    """Return the operator that most likely makes the first unclear region wrong."""
    if not found.unclear:
        return None
    first = found.unclear[0]
    common = set(first.numbers).intersection(*(region.numbers for region in found.unclear))
    suspects = [number for number in first.numbers if number in common] or first.numbers
    suspects = [n for n in suspects if first.values.keys() & set(walk.file.operators[n].outputs)] or suspects
    excused = {n for region in found.unclear for n in region.numbers}
    best = min(suspects, key=lambda number: (_rank(walk, number, excused), number))
    if next(filter(None, walk.file.operators[best].outputs)) not in first.values:
        return None
    return _place(first, best, None)


def _rank(walk: ValueWalk, number: int, excused: set[int]) -> int:
    """Return how unlikely an operator is to be wrong, by its like elsewhere: 0 where it differs from all of them."""
    alike = [n for n in range(len(walk.file.operators)) if n not in excused and likeness(walk, number, n) >= 6]
    if not alike:
        return 1
    told = signature(walk, walk.file.operators[number])
    if all(signature(walk, walk.file.operators[n]) != told for n in alike):
        return 0
    known = any(name in walk.known.matches for n in alike for name in walk.file.operators[n].outputs)
    return 2 if known else 3
