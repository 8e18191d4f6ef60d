"""What a region should give, told by another layer of the same file: exports repeat layers, operator by operator.

The operators of the other layer run on this layer's inputs and weights. If the wrong tensor becomes right so, they are
a reference for every value between, and the first operator that gives something else is the one that is wrong.
"""

from collections import Counter, defaultdict
from typing import Final

import numpy as np

from lwmport.pipeline.bisect.alike import is_setting, signature
from lwmport.pipeline.bisect.layers import Pairs, alignments
from lwmport.pipeline.bisect.regions import Region, Trial
from lwmport.pipeline.bisect.repairs import Proof
from lwmport.types import Array

DIFFERING: Final = 4
"""Operators of a region of which each is left as it is, one after the other, where all together are not right."""


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


def _differing(region: Region, pairs: Pairs) -> list[int]:
    """Return the operators that have other settings than those of the other layer: one may be right, as a size is."""
    walk, operators = region.walk, region.walk.file.operators
    both = ((one, pairs[one]) for one in region.numbers if one in pairs)
    found = [one for one, two in both if signature(walk, operators[one]) != signature(walk, operators[two])]
    return found[-DIFFERING:] if len(found) > 1 else []


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
