"""Weights of the checkpoint that an operator may hold, as the file lays them out."""

from collections import Counter
from collections.abc import Iterator
from itertools import permutations
from math import prod

from lwmport.pipeline.bisect.by_values import ValueWalk
from lwmport.pipeline.bisect.pool import Entry
from lwmport.pipeline.bisect.views import View, longer
from lwmport.runtime.pieces.spec import Operator
from lwmport.types import Array


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


def beside(walk: ValueWalk, entry: Entry) -> Iterator[tuple[str, Entry]]:
    """Yield the weights that the reference has beside a value, and what it makes of both."""
    numbers = {number for number, one in walk.pool.numbers.items() if one is entry}
    for label, uses in walk.pool.uses.items():
        for use in uses if label not in walk.read_rightly else ():
            if numbers & set(use.operands) and use.result in walk.pool.numbers:
                yield label, walk.pool.numbers[use.result]
