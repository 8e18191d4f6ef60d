"""A walk through a model that is not ours: which tensors are the reference's, which are not as they should be.

An operator runs on the reference's own values as far as its inputs are known. A tensor that is one of the reference's
values, but for rounding, becomes that value. What has no counterpart keeps the value that it has: it is right if what
comes behind it is known again. Where a weight is read, the reference tells what must reach it: there it shows whether
something in front is wrong.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Final

import numpy as np

from lwmport.errors import RunnerError
from lwmport.pipeline.bisect.measure import measured
from lwmport.pipeline.bisect.pool import Entry, Match, Pool, rounding_of
from lwmport.pipeline.bisect.views import View, error_of, likeliest, longer, settled, views
from lwmport.reports.bisection import Measured
from lwmport.runtime.pieces.spec import Operator, Pieces
from lwmport.types import Array

VIEWS: Final = 24
"""Orders of axes that are tried where the reference's value is put in place of a tensor."""

SMALLEST: Final = 1 << 16
"""Bytes that an operator without weights counts as, for the bar of progress."""

LEAST: Final = 2
"""Elements that a tensor must have to be known by its numbers."""


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """A tensor that is not what the reference has in its place.

    Attributes:
        tensor: its name.
        reader: the operator that shows it, -1 for an output of the model.
        label: the name of what the reference has.
        right: that, as the file lays it out; None for what an operator would give that does not run.
        entry: its entry in the pool; None for an output of the model.
    """

    tensor: str
    reader: int
    label: str
    right: Array | None
    entry: Entry | None = None


@dataclass(kw_only=True)
class Known:
    """What is known of the tensors of a file.

    ``values`` are those of the first case, from the reference's own inputs; ``reached`` are the file's own, as long as
    they are needed. ``matches`` are tensors that are values of the reference, ``weights`` constants that are weights
    of it, ``mended`` tensors that were wrong and now have their right value. ``own`` and ``whole`` tell how far both
    are from the reference's.
    """

    values: dict[str, Array] = field(default_factory=dict)
    reached: dict[str, Array] = field(default_factory=dict)
    own: dict[str, Measured] = field(default_factory=dict)
    whole: dict[str, Measured] = field(default_factory=dict)
    matches: dict[str, Match] = field(default_factory=dict)
    weights: dict[str, Match | None] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    mended: set[str] = field(default_factory=set)


class ValueWalk:
    """A walk through ``file``; ``feeds`` are its inputs, ``outputs`` what its outputs should be, in its own layout."""

    def __init__(self, pool: Pool, file: Pieces, feeds: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        self.pool, self.file, self.feeds, self.outputs = pool, file, feeds, outputs
        self.known = Known(values=dict(feeds), reached=dict(feeds))
        self._refusal = ""
        self.read_rightly = set[str]()
        """The weights that an operator has read whose output is known."""
        self.makers = {name: n for n, operator in enumerate(file.operators) for name in operator.outputs if name}
        self.readers: dict[str, list[int]] = {}
        for number, operator in enumerate(file.operators):
            for name in filter(None, operator.inputs):
                self.readers.setdefault(name, []).append(number)
        self.orders: dict[tuple[int, int], Counter[tuple[tuple[int, ...], int]]] = defaultdict(Counter)
        for name, value in feeds.items():
            self._look(name, value)

    def steps(self) -> Iterator[tuple[int, Wrong | None]]:
        """Yield each operator that was run, and what it shows to be wrong in front of it; at the end, wrong outputs."""
        for number in range(len(self.file.operators)):
            wrong = self._step(number)
            self._reach(number)
            yield number, wrong
        for name, right in self.outputs.items():
            found = self.known.values.get(name)
            if found is None or found.shape != right.shape or not self.is_right(found, right):
                yield len(self.file.operators), Wrong(tensor=name, reader=-1, label=name, right=right)

    def weight(self, name: str) -> Match | None:
        """Return the weight that a constant is."""
        if name not in self.known.weights:
            value = self.file.constant(name)
            can = value.size >= LEAST and value.dtype.kind not in "biu"
            self.known.weights[name] = self.pool.weight(value) if can else None
        return self.known.weights[name]

    def size_of(self, number: int) -> int:
        """Return the bytes of an operator's constants, for a bar of progress; one without any counts too."""
        held = [self.file.constants[name] for name in self.file.operators[number].inputs if name in self.file.constants]
        return SMALLEST + sum(prod(map(int, spec.shape)) * 4 for spec in held)

    def is_right(self, found: Array, right: Array) -> bool:
        """Return whether a tensor is the one that it should be, but for rounding."""
        if found.shape != right.shape:
            return False
        if found.dtype.kind in "biu":
            return bool(np.array_equal(found, right))
        return error_of(found, right) <= rounding_of(found.dtype.name)

    def run(self, number: int, values: Mapping[str, Array]) -> dict[str, Array]:
        """Return what an operator gives from some values; nothing if the runtime refuses it."""
        operator = self.file.operators[number]
        feeds = {name: values[name] for name in operator.inputs if name in values}
        try:
            return self.file.run([number], feeds, [name for name in operator.outputs if name])
        except RunnerError as error:
            self._refusal = str(error)
            return {}

    def settle(self, name: str, value: Array) -> None:
        """Take the value of a tensor, as the reference's where it is one of those."""
        self.known.values[name] = value
        self._look(name, value)

    def as_known(self, value: Array) -> Array:
        """Return the value of the reference that a tensor is, and the tensor itself where it is none, or masked."""
        can = value.size >= LEAST and value.dtype.kind not in "biu" and bool(np.isfinite(settled(value)).all())
        match = self.pool.match(value) if can else None
        return value if match is None else match.view.of(self.pool.value(match.entry)).astype(value.dtype)

    def data(self, operator: Operator) -> list[str]:
        """Return the inputs of an operator that are no constants."""
        return [name for name in operator.inputs if name and name not in self.file.constants]

    def _step(self, number: int) -> Wrong | None:
        operator = self.file.operators[number]
        found = self.run(number, self.known.values)
        if not found:
            ready = all(name in self.known.values for name in self.data(operator))
            output = next(filter(None, operator.outputs))
            if ready:
                self.known.refused[number] = self._refusal
            return Wrong(tensor=output, reader=number, label="", right=None) if ready else None
        named = [(name, self.pool.match(value)) for name, value in found.items()]
        known = any(match for _, match in named)
        if known:
            self.read_rightly.update(self._labels(operator))
        wrong = None if known else self._shown(number)
        for name, value in found.items() if wrong is None else ():
            self.settle(name, value)
        return wrong

    def _reach(self, number: int) -> None:
        """Run an operator on what reaches it in the whole file, and let go what no later one reads."""
        reached, operator = self.known.reached, self.file.operators[number]
        for name, value in self.run(number, reached).items():
            reached[name] = value
            if name in self.known.matches and value.dtype.kind not in "biu":
                self.known.whole[name] = measured(self.known.values[name], value)
        for name in {*operator.inputs, *operator.outputs} & set(reached):
            if name not in self.outputs and all(reader <= number for reader in self.readers.get(name, ())):
                del reached[name]

    def _shown(self, number: int) -> Wrong | None:
        """Return the input of an operator with a weight that is not what it should be, and go on with the right one."""
        operator = self.file.operators[number]
        weights = [label for label in self._labels(operator) if not self._is_overread(label)]
        for name in self.data(operator) if weights else ():
            value, match = self.known.values.get(name), self.known.matches.get(name)
            for entry in self._operands(weights):
                if value is None or value.size != prod(entry.shape) or value.dtype.kind in "biu":
                    continue
                for view in self._likely(value, entry) if match is None or match.entry is not entry else ():
                    right = view.of(self.pool.value(entry)).astype(value.dtype)
                    made = self.run(number, {**self.known.values, name: right})
                    if made and any(self.pool.match(one) for one in made.values()):
                        for output, one in made.items():
                            self.settle(output, one)
                        return Wrong(tensor=name, reader=number, label=entry.label, right=right, entry=entry)
        return None

    def _labels(self, operator: Operator) -> list[str]:
        """Return the weights that an operator reads."""
        held = [self.weight(name) for name in operator.inputs if name in self.file.constants]
        return [match.entry.label for match in held if match is not None]

    def _is_overread(self, weight: str) -> bool:
        """Return whether more operators read a weight than do in the reference: one of them reads the wrong one."""
        names = [name for name in self.readers if name in self.file.constants]
        readers = sum(len(self.readers[name]) for name in names
                      if (match := self.weight(name)) is not None and match.entry.label == weight)  # fmt: skip
        return readers > len(self.pool.uses.get(weight, ()))

    def _operands(self, weights: Sequence[str]) -> list[Entry]:
        """Return the values that the reference has beside some weights."""
        numbers = [number for name in weights for use in self.pool.uses.get(name, ()) for number in use.operands]
        found = {id(entry): entry for number in numbers if (entry := self.pool.numbers.get(number)) is not None}
        return list(found.values())

    def _likely(self, value: Array, entry: Entry) -> list[View]:
        """Return the views in which a value of the reference may take the place of a tensor: likely ones first."""
        held = self.orders[len(longer(entry.shape)), len(longer(value.shape))]
        every = list(views(entry.shape, value.shape, self.pool.heads))
        usual = [view for view in every if held[view.order, view.halves]]
        usual.sort(key=lambda view: -held[view.order, view.halves])
        first = likeliest(value, self.pool.value(entry))
        rest = [view for view in ([first] if first else []) + every if view not in usual]
        return list(dict.fromkeys([*usual, *rest]))[:VIEWS]

    def _look(self, name: str, value: Array) -> None:
        self.known.matches.pop(name, None)
        if value.size < LEAST:
            return
        match = self.pool.match(value)
        if match is not None:
            self.known.matches[name] = match
            axes = len(longer(match.entry.shape)), len(longer(value.shape))
            self.orders[axes][match.view.order, match.view.halves] += 1
            if value.dtype.kind not in "biu" and np.isfinite(settled(value)).all():
                right = match.view.of(self.pool.value(match.entry)).astype(value.dtype, copy=False)
                self.known.values[name] = right
                self.known.own[name] = measured(right, value)
