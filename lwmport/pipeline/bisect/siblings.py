"""What a region should give, told by another layer of the same file: exports repeat layers, operator by operator.

The operators of the other layer run on this layer's inputs and weights. If the wrong tensor becomes right so, they are
a reference for every value between, and the first operator that gives something else is the one that is wrong.
"""

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np

from lwmport.pipeline.bisect.by_values import ValueWalk
from lwmport.pipeline.bisect.regions import Region, Trial
from lwmport.pipeline.bisect.repairs import Proof, is_setting, signature
from lwmport.types import Array

LAYERS: Final = 8
"""Ways to lay another layer beside one that are tried, those with the most like operators first."""

DIFFERING: Final = 4
"""Operators of a region of which each is left as it is, one after the other, where all together are not right."""

Pairs = dict[int, int]
"""Operator -> the one that stands in its place in another layer."""


def told_by_siblings(region: Region) -> Proof | None:
    """Return where a region differs from the same part of another layer, if that part makes its tensor right."""
    every = alignments(region)
    for whole, pairs in [(False, pairs) for pairs in every] + [(True, pairs) for pairs in every]:
        for own in (None,) if whole else (None, *_differing(region, pairs)):
            left = {one: two for one, two in pairs.items() if one != own}
            found = Replay(region, left, whole=whole).proof()
            if found is not None:
                return found
    return None


def alignments(region: Region) -> list[Pairs]:
    """Return how the operators of a region stand in other layers, the likest layers first."""
    walk, numbers = region.walk, set(region.numbers)
    labels = _labels(walk)
    near = [n for n in (*region.numbers, region.wrong.reader) if n in labels]
    layers = dict.fromkeys((*_prefixes(labels, near), *_modules(labels, near)))
    ways = [(one, other, order) for one, other in layers for order in (_in_file, _by_reading)]
    found = [pairs for one, other, order in ways if numbers & set(pairs := _aligned(walk, labels, (one, other), order))]
    return sorted(found, key=lambda pairs: -_likeness(walk, pairs, numbers))[:LAYERS]


def _differing(region: Region, pairs: Pairs) -> list[int]:
    """Return the operators that have other settings than those of the other layer: one may be right, as a size is."""
    walk, operators = region.walk, region.walk.file.operators
    both = ((one, pairs[one]) for one in region.numbers if one in pairs)
    found = [one for one, two in both if signature(walk, operators[one]) != signature(walk, operators[two])]
    return found[-DIFFERING:] if len(found) > 1 else []


def _labels(walk: ValueWalk) -> dict[int, str]:
    """Return operator -> the name of the weight that it reads."""
    found = {}
    for number, operator in enumerate(walk.file.operators):
        held = (name for name in operator.inputs if name in walk.file.constants and not is_setting(walk, name))
        match = next((match for name in held if (match := walk.weight(name)) is not None), None)
        if match is not None:
            found[number] = match.entry.label
    return found


def _prefixes(labels: Mapping[int, str], near: list[int]) -> Iterator[tuple[str, str]]:
    """Yield the names of a layer of some operators and of each other layer of its kind."""
    seen = set()
    for one, other in ((labels[number], label) for number in near for label in labels.values()):
        mine, theirs = (re.split(r"(\d+)", label) for label in (one, other))
        places = [place for place in range(1, len(mine), 2) if mine[place] != theirs[min(place, len(theirs) - 1)]]
        if mine[::2] == theirs[::2] and places:
            pair = "".join(mine[: places[-1] + 1]), "".join(theirs[: places[-1] + 1])
            if pair not in seen:
                seen.add(pair)
                yield pair


def _modules(labels: Mapping[int, str], near: list[int]) -> Iterator[tuple[str, str]]:
    """Yield the names of a module of some operators and of each other one whose weight has the same last name.

    What stands once, as the norm behind the last layer, is in no layer that is repeated, but other norms are.
    """
    for one, other in ((labels[number], label) for number in near for label in labels.values()):
        mine, theirs = (label.rpartition("/") for label in (one, other))
        if mine[0] and theirs[0] and mine[0] != theirs[0] and mine[-1] == theirs[-1]:
            yield mine[0], theirs[0]


def _extent(labels: Mapping[int, str], prefix: str, count: int) -> range:
    """Return the operators of a layer, with those that lie between it and the weights of others."""
    known = sorted(labels)
    own = [number for number in known if re.match(rf"{re.escape(prefix)}(?!\d)", labels[number])]
    before = max((number for number in known if number < own[0]), default=-1)
    behind = min((number for number in known if number > own[-1]), default=count)
    return range(before + 1, behind)


def _in_file(walk: ValueWalk, part: range) -> list[int]:
    """Return the operators of a layer in the order of the file."""
    del walk
    return list(part)


def _by_reading(walk: ValueWalk, part: range) -> list[int]:
    """Return the operators of a layer, each behind what it reads, in the order in which the last one reads them."""
    found: dict[int, None] = {}
    for root in reversed(part):
        left = [(root, False)]
        while left:
            number, ready = left.pop()
            if ready:
                found.setdefault(number)
            elif number in part and number not in found:
                read = [walk.makers[name] for name in walk.data(walk.file.operators[number]) if name in walk.makers]
                left += [(number, True), *((one, False) for one in reversed(read))]
    return list(found)


def _aligned(
    walk: ValueWalk,
    labels: Mapping[int, str],
    prefixes: tuple[str, str],
    order: Callable[[ValueWalk, range], list[int]],
) -> Pairs:
    operators = walk.file.operators
    mine, theirs = (order(walk, _extent(labels, prefix, len(operators))) for prefix in prefixes)
    types = [[operators[number].type for number in part] for part in (mine, theirs)]
    pairs: Pairs = {}
    matcher = difflib.SequenceMatcher(None, types[0], types[1], autojunk=False)
    for kind, first, last, start, end in matcher.get_opcodes():
        if kind == "equal" or (kind == "replace" and last - first == end - start):
            pairs.update(zip(mine[first:last], theirs[start:end], strict=True))
    return _consistent(walk, labels, {one: two for one, two in pairs.items() if one != two})


def _consistent(walk: ValueWalk, labels: Mapping[int, str], pairs: Pairs) -> Pairs:
    """Return the pairs that read, or are read by, another pair: the others only happen to be of one type."""
    while True:
        mine, theirs = _edges(walk, set(pairs)), _edges(walk, set(pairs.values()))
        joined = {end for front, behind in mine if (pairs[front], pairs[behind]) in theirs for end in (front, behind)}
        left = {one: two for one, two in pairs.items() if one in joined or one in labels}
        if len(left) == len(pairs):
            return left
        pairs = left


def _edges(walk: ValueWalk, numbers: set[int]) -> set[tuple[int, int]]:
    """Return which of some operators read which, straight or through others of a single input, as casts are."""
    found = set()
    for reader in numbers:
        for name in walk.data(walk.file.operators[reader]):
            maker = walk.makers.get(name, -1)
            while maker >= 0 and maker not in numbers:
                read = walk.data(walk.file.operators[maker])
                maker = walk.makers.get(read[0], -1) if len(read) == 1 else -1
            if maker >= 0:
                found.add((maker, reader))
    return found


def _likeness(walk: ValueWalk, pairs: Pairs, numbers: set[int]) -> int:
    """Return how many operators of a region have one of the same type and settings in the other layer."""
    operators = walk.file.operators
    both = [(operators[one], operators[two]) for one, two in pairs.items() if one in numbers]
    return sum(one.type == two.type and repr(one.attributes) == repr(two.attributes) for one, two in both)


class Replay:
    """The values of a region if its operators are those of another layer.

    ``whole`` takes all operators of the layer in front of the wrong tensor: one that is known may be of another place.
    """

    def __init__(self, region: Region, pairs: Pairs, *, whole: bool = False) -> None:
        self.region, self.pairs = region, pairs
        self.values: dict[str, Array] = {}
        self.trials: dict[int, Trial] = {}
        self._numbers = {*region.numbers, *(pairs if whole else ())}
        self._back = {two: one for one, two in pairs.items()}
        self._bounds = self._boundaries()

    def proof(self) -> Proof | None:
        """Return the first operator that differs, if all in the places of those of the other layer mend the tensor."""
        walk, wrong = self.region.walk, self.region.wrong.tensor
        found = self.value(wrong)
        if found is None or not self.trials or not self.region.is_mended({**self.values, wrong: found}):
            return None
        later = None
        for number in sorted(self.trials):
            output = next(filter(None, walk.file.operators[number].outputs))
            given = {name: self.value(name) for name in walk.data(walk.file.operators[number])}
            inputs = {name: value for name, value in given.items() if value is not None}
            made, right = walk.run(number, inputs).get(output), self.values[output]
            if made is not None and made.dtype == right.dtype and np.array_equal(made, right):
                continue
            proof = Proof(number=number, trial=self.trials[number], right=right, inputs=inputs, found=made,
                          values=self.values)  # fmt: skip
            if made is None or made.dtype != right.dtype or not walk.is_right(made, right):
                return proof
            later = later or proof
        return later

    def value(self, name: str) -> Array | None:
        """Return what a tensor of this layer should be."""
        number = self.region.walk.makers.get(name, -1)
        if name not in self.values and number in self._numbers:
            self._numbers.discard(number)
            self._make(number)
        return self.values.get(name, self.region.value(name))

    def _make(self, number: int) -> None:
        walk, operator = self.region.walk, self.region.walk.file.operators[number]
        other = self.pairs.get(number, number)
        donor, feeds = walk.file.operators[other], dict[str, Array]()
        names = [self._ours(name, number, place, alone=other == number) for place, name in enumerate(donor.inputs)]
        for name, ours in zip(donor.inputs, names, strict=True):
            value = walk.file.constant(ours) if ours in walk.file.constants else self.value(ours) if ours else None
            if value is not None:
                feeds[name] = value
        made = walk.run(other, feeds)
        outputs = zip(operator.outputs, donor.outputs, strict=False)
        self.values.update({ours: walk.as_known(made[theirs]) for ours, theirs in outputs if theirs in made})
        if other != number and made:
            self.trials[number] = Trial(donor=other, feeds=feeds, names=tuple(names))

    def _ours(self, name: str, number: int, place: int, *, alone: bool) -> str:
        """Return the tensor of this layer that stands for one that an operator of the other layer reads."""
        walk = self.region.walk
        operator = walk.file.operators[number]
        if alone or not name:
            return name
        if name in walk.file.constants:
            own = self._held(operator.inputs[place]) if place < len(operator.inputs) else ""
            return own if own and not is_setting(walk, name) and walk.weight(name) is not None else name
        maker = walk.makers.get(name, -1)
        if maker in self._back:
            slot = walk.file.operators[maker].outputs.index(name)
            outputs = walk.file.operators[self._back[maker]].outputs
            return outputs[slot] if slot < len(outputs) else ""
        counted = self._bounds[name]
        return max(counted, key=lambda ours: (counted[ours], ours == name)) if counted else name

    def _held(self, name: str) -> str:
        """Return the weight that a tensor is, or is made of by operators of one input; empty if it is none."""
        walk = self.region.walk
        while name in walk.makers and len(walk.file.operators[walk.makers[name]].inputs) == 1:
            name = walk.file.operators[walk.makers[name]].inputs[0]
        return name if name in walk.file.constants and not is_setting(walk, name) else ""

    def _boundaries(self) -> dict[str, Counter[str]]:
        """Return tensor that the other layer reads from outside -> what stands there in this layer, counted."""
        walk, found = self.region.walk, defaultdict[str, Counter[str]](Counter)
        for one, two in self.pairs.items():
            mine, theirs = walk.file.operators[one].inputs, walk.file.operators[two].inputs
            for ours, name in zip(mine, theirs, strict=False):
                outside = walk.makers.get(ours, -1) not in self.pairs and walk.makers.get(name, -1) not in self._back
                if outside and ours and not {ours, name} & set(walk.file.constants):
                    found[name][ours] += 1
        return found
