"""The operators between what is known to be right and a tensor that is wrong, and what they give if one is another."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from lwmport.errors import RunnerError
from lwmport.pipeline.bisect.by_values import ValueWalk, Wrong
from lwmport.pipeline.bisect.pool import Entry
from lwmport.pipeline.bisect.views import error_of, nearest
from lwmport.types import Array

AHEAD: Final = 96
"""Operators behind one that does not run within which something must be known again, if it does."""

LARGEST: Final = 80
"""Operators of a region that are looked at; those nearest to the wrong tensor."""


NEARLY: Final = 1e-2
"""How far a tensor may be from what is right for its region to be run again, an operator at a time."""

NONE: Final[Mapping[str, Array]] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Another operator in the place of one: ``donor``, one of the file, with these inputs; -1 for none.

    ``feeds`` are the inputs of the donor by name. Without a donor, the place gives the value in ``feeds`` as it is.
    ``weight`` is the weight of the checkpoint that is put in, ``at`` the input that has it. ``names`` are the tensors
    that the donor reads in this place, where that is told; ``type`` is what computes ``made``, if no operator of the
    file does, and ``settings`` are those with which the operator itself would give what is right. ``others`` are
    tensors that become others too. ``refuted`` are inputs with which the donor must not mend the tensor; ``vague``
    tells that others would do as well.
    """

    donor: int
    feeds: Mapping[str, Array]
    weight: str = ""
    at: int = -1
    words: str = ""
    names: tuple[str, ...] = ()
    type: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    made: Array | None = None
    others: Mapping[str, Array] = field(default_factory=dict)
    refuted: Mapping[str, Array] | None = None
    vague: bool = False


class Region:
    """The operators that lead from known values to a wrong tensor, in order."""

    def __init__(self, walk: ValueWalk, wrong: Wrong, beyond: int = 0) -> None:
        self.walk, self.wrong = walk, wrong
        self.numbers = self._behind(beyond)
        self.values: dict[str, Array] = {}
        self._fill()

    def _behind(self, beyond: int) -> list[int]:
        """Return the operators whose outputs reach the tensor and are not known, and those that lay out one that is.

        ``beyond`` is how many operators farther than what is known it goes: what is known may be what comes too early.
        """
        walk, found = self.walk, dict[int, int]()
        left = [(self.wrong.tensor, beyond + 1)]
        while left:
            name, more = left.pop()
            number = walk.makers.get(name, -1)
            if name in walk.known.mended or number < 0 or found.get(number, -1) >= more:
                continue
            more -= name in walk.known.matches and not self._lays_out(name)
            if more >= 0:
                found[number] = more
                left += [(one, more) for one in walk.data(walk.file.operators[number])]
        return sorted(found)[-LARGEST:]

    def _lays_out(self, name: str) -> bool:
        """Return whether a tensor is its operator's input in another order or shape."""
        walk, match = self.walk, self.walk.known.matches[name]
        before = [walk.known.matches.get(one) for one in walk.data(walk.file.operators[walk.makers[name]])]
        return len(before) == 1 and before[0] is not None and before[0].entry is match.entry

    def _fill(self) -> None:
        for number in self.numbers:
            feeds = {name: self.value(name) for name in self.walk.data(self.walk.file.operators[number])}
            self.values.update(self.walk.run(number, {k: v for k, v in feeds.items() if v is not None}))

    def value(self, name: str) -> Array | None:
        """Return the value of a tensor: computed in the region, or known in front of it."""
        return self.values.get(name, self.walk.known.values.get(name))

    def inputs(self, number: int) -> dict[str, Array]:
        """Return the values that an operator of the region reads; constants are not among them."""
        names = self.walk.data(self.walk.file.operators[number])
        return {name: value for name in names if (value := self.value(name)) is not None}

    def made_by(self, number: int, trial: Trial) -> Array | None:
        """Return the first output of a trial in the place of an operator; None where it does not run."""
        del number
        if trial.made is not None:
            return trial.made
        if trial.donor < 0:
            return next(iter(trial.feeds.values()))
        output = next(filter(None, self.walk.file.operators[trial.donor].outputs))
        try:
            return self.walk.file.run([trial.donor], trial.feeds, [output])[output]
        except RunnerError:
            return None

    def proves(self, number: int, value: Array, others: Mapping[str, Array] = NONE) -> bool:
        """Return whether the wrong tensor becomes right with another value of an operator's first output."""
        walk = self.walk
        output = next(filter(None, walk.file.operators[number].outputs))
        before = self.values.get(output)
        if before is not None and before.dtype != value.dtype:
            return False
        changed = {output: walk.as_known(value), **others}
        if not self._may_mend(number, changed):
            return False
        for later in self.numbers:
            operator = walk.file.operators[later]
            if later <= number or set(operator.outputs) & set(others):
                continue
            if not any(name in changed for name in operator.inputs):
                continue
            made = walk.run(later, {**self.inputs(later), **{n: v for n, v in changed.items() if n in operator.inputs}})
            if not made:
                return False
            changed.update({name: walk.as_known(one) for name, one in made.items()})
        return self.wrong.tensor in changed and self.is_mended(changed)

    def _may_mend(self, number: int, changed: Mapping[str, Array]) -> bool:
        """Return whether the wrong tensor comes near what is right when all operators behind run in one go."""
        walk, right, reached = self.walk, self.wrong.right, set(changed)
        later = []
        for one in self.numbers:
            operator = walk.file.operators[one]
            if one > number and reached.intersection(operator.inputs) and not set(operator.outputs) & set(changed):
                later.append(one)
                reached.update(operator.outputs)
        if right is None or self.wrong.tensor not in reached or self.wrong.tensor in changed:
            return right is None or self.wrong.tensor in changed
        feeds = {name: value for one in later for name, value in self.inputs(one).items()}
        made = {name for one in later for name in walk.file.operators[one].outputs}
        feeds = {name: value for name, value in {**feeds, **changed}.items() if name not in made}
        try:
            found = walk.file.run(later, feeds, [self.wrong.tensor])[self.wrong.tensor]
        except RunnerError:
            return False
        if self.wrong.entry is None:
            return found.shape == right.shape and error_of(found, right) <= NEARLY
        if nearest(found, walk.pool.value(self.wrong.entry), NEARLY, walk.pool.heads) is not None:
            return True
        read = walk.run(self.wrong.reader, {**walk.known.values, self.wrong.tensor: found})
        return any(walk.pool.near(one, NEARLY) is not None for one in read.values())

    def is_mended(self, changed: Mapping[str, Array]) -> bool:
        """Return whether the wrong tensor, with another value, is what the reference has."""
        wrong, value = self.wrong, changed[self.wrong.tensor]
        match = None if wrong.reader < 0 else self.walk.pool.match(value)
        if wrong.right is None:
            return match is not None or comes_right(self.walk, wrong.reader, {wrong.tensor: value, **changed})
        before = self.walk.known.matches.get(wrong.tensor)
        if wrong.entry is not None and (before is None or before.entry is not wrong.entry):
            return (match is not None and match.entry is wrong.entry) or self._is_read_right(value)
        return self.walk.is_right(value, wrong.right)

    def _is_read_right(self, value: Array) -> bool:
        """Return whether the reader of the wrong tensor gives what the reference has, from another value of it."""
        walk, wrong = self.walk, self.wrong
        found = walk.run(wrong.reader, {**walk.known.values, wrong.tensor: value})
        return any(walk.pool.match(one) for one in found.values())

    def mend(self, number: int, values: Mapping[str, Array]) -> None:
        """Take the right values of some tensors from an operator on, and compute all again that was made of them."""
        walk, changed = self.walk, set(values)
        for name, value in values.items():
            walk.settle(name, value)
        walk.known.mended.update(values)
        end = self.wrong.reader if self.wrong.reader >= 0 else len(walk.file.operators) - 1
        for later in range(number + 1, end + 1):
            if changed.intersection(walk.file.operators[later].inputs):
                for name, made in walk.run(later, walk.known.values).items():
                    if name not in values:
                        walk.settle(name, made)
                        changed.add(name)


def comes_right(walk: ValueWalk, number: int, changed: Mapping[str, Array], entry: Entry | None = None) -> bool:
    """Return whether something is known again a few operators behind one whose outputs become others.

    ``entry`` is what they are known as: the same in another order or shape says nothing more.
    """
    values, behind = {**walk.known.values, **changed}, set(walk.file.operators[number].outputs)
    for later in range(number + 1, min(number + AHEAD, len(walk.file.operators))):
        operator = walk.file.operators[later]
        found = walk.run(later, values) if all(name in values for name in walk.data(operator)) else {}
        values.update(found)
        if behind.intersection(operator.inputs):
            behind.update(found)
            matches = (walk.pool.match(value) for value in found.values())
            if any(match is not None and match.entry is not entry for match in matches):
                return True
    return False
