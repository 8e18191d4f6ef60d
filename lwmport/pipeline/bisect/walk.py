"""Two models side by side, an operator at a time: the reference, and the file in which something may be wrong.

Each operator of the file runs on the reference's own inputs, and on what reaches it in the whole model. So an error
that enters here is told from one that passes through. Operators correspond where they give a tensor of the same name.
Values live until their last use, and no weight is in memory but those of the operator at hand.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from lwmport.errors import RunnerError
from lwmport.runtime.pieces.spec import Operator, Pieces
from lwmport.types import Array

ALIKE: Final = 0.5
"""The part of the file's operators that must give tensors which the reference has too, for the two to correspond."""

PIECE: Final = 1 << 22
"""Elements of constants that are compared at a time."""

KEPT: Final = ("right", "wrong", "extra")
"""The values that live, by case: the reference's, those of the whole file that differ, those that only the file has."""

LOST: Final = np.full((), np.nan)
"""In place of a value that was not computed."""

Values: TypeAlias = dict[str, Array]


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one operator of the file gave, in one case.

    Attributes:
        number: its place in the operators of the file.
        output: the tensor that was compared, by its name in the file.
        reference: its value in the reference.
        own: its value from the reference's own inputs.
        whole: its value when the whole model runs.
        same: whether the operator is the reference's own, with the same settings, weights and inputs.
        inputs: the reference's values of what the operator reads, by name; constants are not among them.
        reached: what reaches it of these when the whole model runs.
        refused: why the runtime refused the operator, empty if it did not.
    """

    number: int
    output: str
    reference: Array
    own: Array
    whole: Array
    same: bool
    inputs: Mapping[str, Array]
    reached: Mapping[str, Array]
    refused: str = ""

    @property
    def is_own(self) -> bool:
        """Whether the operator gives what the reference gives, bit for bit, from the reference's own inputs."""
        return self.own is self.reference

    @property
    def is_whole(self) -> bool:
        """Whether the whole model gives here what the reference gives, bit for bit."""
        return self.whole is self.reference


def corresponds(reference: Pieces, file: Pieces) -> bool:
    """Return whether enough operators of a file give tensors that the reference has too."""
    made = {name for operator in reference.operators for name in operator.outputs if name}
    both = sum(1 for operator in file.operators if made.intersection(operator.outputs))
    return both >= ALIKE * max(len(file.operators), 1)


class Walk:
    """A walk through a file beside its reference, for several cases at once: each weight is read once for all.

    ``runtime`` says that the file runs in another runtime than the reference: then operators that are the same are run
    too, for it may compute them wrongly.
    """

    def __init__(
        self, reference: Pieces, file: Pieces, cases: Sequence[Mapping[str, Array]], *, runtime: bool = False
    ) -> None:
        self.reference, self.file, self.runtime = reference, file, runtime
        self._makers = {name: n for n, operator in enumerate(reference.operators) for name in operator.outputs if name}
        self._given = {spec.name for spec in reference.inputs}
        self.aliases = self._aliased()
        self.start, self._next, self._lives = 0, 0, self._last_uses()
        self._right: list[Values] = [dict(case) for case in cases]
        self._wrong: list[Values] = [{} for _ in cases]
        self._extra: list[Values] = [{} for _ in cases]
        self._equal: dict[tuple[str, str], bool] = {}

    def twin(self, operator: Operator) -> Operator | None:
        """Return the operator of the reference that gives the same tensor, if there is one."""
        numbers = [self._makers[name] for name in operator.outputs if name in self._makers]
        return self.reference.operators[numbers[0]] if numbers else None

    def steps(self) -> Iterator[tuple[int, list[Step]]]:
        """Yield the number of each operator of the file and what it gave in each case.

        No steps come of an operator whose outputs have no counterpart in the reference. Values that nobody needs any
        more are let go behind each.
        """
        for number, operator in enumerate(self.file.operators[self.start :], self.start):
            self._advance([self.known(name) for name in operator.outputs if name])
            same = self._is_same(operator)
            found = [self._step(case, number, same=same) for case in range(len(self._right))]
            self.start = number + 1
            yield number, [step for step in found if step is not None]
            self._drop(number)

    @property
    def state(self) -> dict[str, Any]:
        """What a walk needs that goes on from here: the places on both sides, and the values that live."""
        self._drop(self.start - 1)
        return {"start": self.start, "next": self._next, **{name: getattr(self, f"_{name}") for name in KEPT}}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.start, self._next = int(state["start"]), int(state["next"])
        self._right, self._wrong, self._extra = ([dict(one) for one in state[name]] for name in KEPT)

    def shown(self, operator: Operator) -> Iterator[tuple[str, Array]]:
        """Yield the outputs of an operator that the reference has too, with its values in the first case."""
        for name in filter(None, operator.outputs):
            if self.known(name) in self._right[0]:
                yield name, self._right[0][self.known(name)]

    def outputs(self, case: int) -> tuple[Values, Values]:
        """Return the outputs of the reference and those of the whole file, at the end of the walk."""
        self._advance(list(self._makers))
        right = {spec.name: self._right[case][spec.name] for spec in self.reference.outputs}
        return right, {spec.name: self._reached(case, spec.name) for spec in self.file.outputs}

    def culprit(self, operator: Operator) -> tuple[Operator, Operator | None]:
        """Return the operator in the bodies of one that differs from the reference's there, and that of the reference.

        It is the operator itself where it has no bodies, or where these are the same.
        """
        twin = self.twin(operator)
        theirs = flat(twin.bodies) if twin is not None else []
        makers = {name: inner for inner in theirs for name in inner.outputs if name}
        for inner in flat(operator.bodies):
            other = next((makers[name] for name in inner.outputs if name in makers), None)
            if other is None or not self._is_like(inner, other):
                return inner, other
        return operator, twin

    def _is_like(self, one: Operator, other: Operator) -> bool:
        """Return whether two operators of bodies are the same, but for what lies in bodies of their own."""
        settings = [{key: item for key, item in side.attributes.items() if not _is_body(item)} for side in (one, other)]
        known = tuple(self.known(name) for name in one.inputs)
        facts = (one.type, known, one.outputs) == (other.type, other.inputs, other.outputs)
        return facts and _same_settings(*settings)

    def is_equal(self, name: str, other: str) -> bool:
        """Return whether a constant of the file has the bytes of one of the reference."""
        pair = name, other
        if pair not in self._equal:
            self._equal[pair] = same_bytes(self.file.constant(name), self.reference.constant(other))
        return self._equal[pair]

    def known(self, name: str) -> str:
        """Return the name that a tensor of the file has in the reference."""
        return self.aliases.get(name, name)

    def _reached(self, case: int, name: str) -> Array:
        for values in (self._wrong[case], self._extra[case], self._right[case]):
            if name in values:
                return values[name]
        return np.full((), np.nan)

    def _advance(self, names: Sequence[str]) -> None:
        """Run the reference up to the operator that gives the last one of some tensors."""
        end = max((self._makers[name] for name in names if name in self._makers), default=-1)
        while self._next <= end:
            operator = self.reference.operators[self._next]
            wanted = [name for name in operator.outputs if name]
            for right in self._right:
                feeds = {name: right[name] for name in operator.inputs if name in right}
                right.update(self.reference.run([self._next], feeds, wanted))
            self._next += 1

    def _step(self, case: int, number: int, *, same: bool) -> Step | None:
        """Run one operator in one case, keep what it gave, and return what is to be compared."""
        operator, right = self.file.operators[number], self._right[case]
        wanted = [name for name in operator.outputs if name]
        read = [name for name in operator.inputs if name and name not in self.file.constants]
        inputs = {name: value for name in read if (value := self._own_input(case, name)) is not None}
        reached = {name: self._wrong[case].get(name, value) for name, value in inputs.items()}
        refused, own, whole = "", dict[str, Array](), dict[str, Array]()
        try:
            spared = same and not self.runtime
            own = {name: right[name] for name in wanted} if spared else self.file.run([number], inputs, wanted)
            changed = any(reached[name] is not inputs[name] for name in reached)
            whole = self.file.run([number], reached, wanted) if changed else own
        except RunnerError as error:
            refused = str(error)
            if self.runtime:
                own = whole = {name: right[name] for name in wanted if name in right}
        steps = []
        for name in wanted:
            expected = right.get(self.known(name))
            one, other = (self._settled(expected, values.get(name, LOST)) for values in (own, whole))
            self._keep(case, name, one, other)
            if expected is not None:
                steps.append(
                    Step(
                        number=number,
                        output=name,
                        reference=expected,
                        own=one,
                        whole=other,
                        same=same,
                        inputs=inputs,
                        reached=reached,
                        refused=refused,
                    )
                )
        return max(steps, key=lambda step: (not step.is_own, not step.is_whole, step.reference.size), default=None)

    def _own_input(self, case: int, name: str) -> Array | None:
        """Return the reference's value of what an operator reads; of what only the file has, what that makes of it."""
        known, extra = self._right[case].get(self.known(name)), self._extra[case].get(name)
        if known is None or (extra is not None and (extra.dtype, extra.shape) != (known.dtype, known.shape)):
            return extra
        return known

    def _keep(self, case: int, name: str, own: Array, whole: Array) -> None:
        if name not in self._right[case]:
            self._extra[case][name] = own
        before = self._right[case].get(self.known(name), own)
        if whole is not before:
            self._wrong[case][name] = whole

    @staticmethod
    def _settled(expected: Array | None, found: Array) -> Array:
        """Return the expected value itself where the one found is equal, bit for bit."""
        return found if expected is None or not same_bytes(expected, found) else expected

    def _is_same(self, operator: Operator) -> bool:
        twin = self.twin(operator)
        if twin is None or (operator.type, operator.outputs) != (twin.type, twin.outputs):
            return False
        if len(operator.inputs) != len(twin.inputs) or not _same_settings(operator.attributes, twin.attributes):
            return False
        return all(self._reads_same(*names) for names in zip(operator.inputs, twin.inputs, strict=True))

    def _reads_same(self, name: str, other: str) -> bool:
        held, known = name in self.file.constants, other in self.reference.constants
        return self.is_equal(name, other) if held and known else held == known and self.known(name) == other

    def _aliased(self) -> dict[str, str]:
        """Return tensors that only the file has -> those of the reference in whose place an operator reads them."""
        found: dict[str, set[str]] = {}
        for operator in self.file.operators:
            twin = self.twin(operator)
            if twin is not None and twin.type == operator.type and len(twin.inputs) == len(operator.inputs):
                for name, other in zip(operator.inputs, twin.inputs, strict=True):
                    if name and name not in self._makers and name not in self._given and other in self._makers:
                        found.setdefault(name, set()).add(other)
        held = self.file.constants
        return {name: others.pop() for name, others in found.items() if len(others) == 1 and name not in held}

    def _last_uses(self) -> dict[str, tuple[int, int]]:
        """Return each tensor -> the last operator of the file, and of the reference, that needs its value."""
        last: dict[str, list[int]] = {}
        for side, pieces in enumerate((self.file, self.reference)):
            for number, operator in enumerate(pieces.operators):
                for name in {*operator.inputs, *operator.outputs}:
                    for known in {name, self.known(name)}:
                        last.setdefault(known, [-1, -1])[side] = number
        for spec in (*self.file.outputs, *self.reference.outputs):
            last[spec.name] = [len(self.file.operators), len(self.reference.operators)]
        return {name: (one, other) for name, (one, other) in last.items()}

    def _drop(self, number: int) -> None:
        """Let go what neither side needs any more."""
        for values in (*self._right, *self._wrong, *self._extra):
            for name in [name for name in values if self._is_over(name, number)]:
                del values[name]

    def _is_over(self, name: str, number: int) -> bool:
        of_file, of_reference = self._lives.get(name, (-1, -1))
        return of_file <= number and of_reference < self._next


def flat(operators: Sequence[Operator]) -> list[Operator]:
    """Return operators of bodies, those of inner bodies in front of the one that has them."""
    return [item for operator in operators for item in (*flat(operator.bodies), operator)]


def _is_body(setting: Any) -> bool:
    return isinstance(setting, str) and "\n" in setting


def _same_settings(settings: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    return settings.keys() == others.keys() and all(same_setting(settings[name], others[name]) for name in settings)


def same_setting(one: Any, other: Any) -> bool:
    """Return whether two settings are equal, arrays bit for bit."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return same_bytes(one, other)
    return bool(type(one) is type(other) and one == other)


def same_bytes(one: Array, other: Array) -> bool:
    """Return whether two tensors are equal bit for bit, a piece at a time."""
    if one is other:
        return True
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    flat, others = one.reshape(-1), other.reshape(-1)
    for start in range(0, flat.size, PIECE):
        a, b = (np.ascontiguousarray(values[start : start + PIECE]) for values in (flat, others))
        if not np.array_equal(a.view(np.uint8), b.view(np.uint8)):
            return False
    return True
