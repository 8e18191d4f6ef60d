"""Which operators of another layer stand in the places of those of a region: exports repeat layers."""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Final

from lwmport.pipeline.bisect.alike import is_setting, signature
from lwmport.pipeline.bisect.by_values import ValueWalk
from lwmport.pipeline.bisect.regions import Region

LAYERS: Final = 8
"""Ways to lay another layer beside one that are tried, those with the most like operators first."""

Pairs = dict[int, int]
"""Operator -> the one that stands in its place in another layer."""


def alignments(region: Region) -> list[Pairs]:
    """Return how the operators of a region stand in other layers, then in other modules, each time the likest first."""
    walk, numbers = region.walk, set(region.numbers)
    labels = _labels(walk)
    near = [n for n in (*region.numbers, region.wrong.reader) if n in labels]
    every = []
    for named in (_prefixes, _modules):
        ways = product(dict.fromkeys(named(labels, near)), (_in_file, _by_reading))
        found = (_aligned(walk, labels, both, order) for both, order in ways)
        some = [pairs for pairs in found if numbers & set(pairs) and pairs not in every]
        every += sorted(some, key=lambda pairs: -_likeness(walk, pairs, numbers))[:LAYERS]
    return every


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
    return sum(signature(walk, one) == signature(walk, two) for one, two in both)
