"""A comparison as data: two sides, the tree of their modules, and what the targets say."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from math import prod
from typing import Final, TypeAlias

from lwmport.types import Dim, dtype_of

Place: TypeAlias = tuple[tuple[str, ...], int]
"""A module by its path, and which part of its own operators: how many children values have gone through before them."""


WITHIN: Final = " > "
"""What stands between the name of a composite and the name of an operator that it is made of."""

TEXT: Final = re.compile(r"^.*\D(?=\d+$)")
"""What stands before the number of a name."""


class Sameness(StrEnum):
    """Whether both sides have something, and whether it is alike."""

    SAME = "same"
    CHANGED = "changed"
    ONLY_A = "only in A"
    ONLY_B = "only in B"


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A parameter, an input or an output. ``shape`` is None where nothing says it."""

    name: str
    shape: tuple[Dim, ...] | None
    dtype: str

    @property
    def elements(self) -> int:
        """How many elements it has; 0 where a size is not known."""
        known = self.shape is not None and all(isinstance(size, int) for size in self.shape)
        return prod(int(size) for size in self.shape or ()) if known else 0

    @property
    def nbytes(self) -> int:
        """Bytes of its elements; a dtype that numpy has not counts one byte for each."""
        try:
            return self.elements * dtype_of(self.dtype).itemsize
        except TypeError:
            return self.elements

    @property
    def words(self) -> str:
        """Dtype and sizes: ``float32 [4096, 11008]``."""
        sizes = "of unknown shape" if self.shape is None else f"[{', '.join(map(str, self.shape))}]"
        return f"{self.dtype or 'unknown dtype'} {sizes}"


def sizes_of(tensor: Tensor) -> tuple[int, ...]:
    """Return the sizes of a tensor in falling order without ones: what no layout changes."""
    return tuple(
        sorted((int(size) for size in tensor.shape or () if isinstance(size, int) and size != 1), reverse=True)
    )


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a module has of its own, without the modules within.

    Attributes:
        parameters: its tensors.
        operators: how many there are of each, by name. What a composite is made of stands behind its name
            and `WITHIN`.
        kinds: how many there are of each kind, whatever the format calls them; what composites are made of counts.
        flop: floating-point operations of one run; a multiplication and an addition are two.
        main_flop: those of products of matrices and of convolutions.
        bytes: what its operators read and write in one run, as if nothing were fused.
        uncounted: operators whose cost is not counted, for the file does not say their shapes.
    """

    parameters: tuple[Tensor, ...] = ()
    operators: Mapping[str, int] = field(default_factory=dict)
    kinds: Mapping[str, int] = field(default_factory=dict)
    flop: int = 0
    main_flop: int = 0
    bytes: int = 0
    uncounted: int = 0

    @property
    def parameter_count(self) -> int:
        """Elements of all parameters."""
        return sum(one.elements for one in self.parameters)

    @property
    def parameter_bytes(self) -> int:
        """Bytes of all parameters."""
        return sum(one.nbytes for one in self.parameters)

    @classmethod
    def together(cls, several: Iterable["Facts"]) -> "Facts":
        """Return several together."""
        found = list(several)
        operators, kinds = Counter[str](), Counter[str]()
        for one in found:
            operators.update(one.operators)
            kinds.update(one.kinds)
        return cls(
            parameters=tuple(tensor for one in found for tensor in one.parameters),
            operators=dict(operators),
            kinds=dict(kinds),
            flop=sum(one.flop for one in found),
            main_flop=sum(one.main_flop for one in found),
            bytes=sum(one.bytes for one in found),
            uncounted=sum(one.uncounted for one in found),
        )


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that differs in a module. ``what`` is a word of `WHATS`, ``a`` and ``b`` are empty where not there."""

    what: str
    name: str
    a: str
    b: str


WHATS = ("parameter", "shape", "dtype", "layout", "operators", "cost")


@dataclass(frozen=True, kw_only=True)
class ModuleDiff:
    """One module of both sides, or of one.

    Attributes:
        path: where it is in the tree of both, named as A names it.
        a: its path in A, None where A has no such module.
        b: its path in B.
        matched_by: how the two were found to be one: ``path``, ``table of names``, ``modules within`` or
            ``shape and order``; empty where only one side has it.
        status: of what it has of its own.
        changes: what differs.
        facts_a: what it has in A.
        facts_b: what it has in B.
        parts_a: its own operators in A, by when they run: see `Place`.
        parts_b: the same of B.
        children: the modules within, in the order in which they run.
        numbers: of alike neighbours that are told as one, the last parts of their paths; empty for a single module.
    """

    path: tuple[str, ...]
    a: tuple[str, ...] | None
    b: tuple[str, ...] | None
    matched_by: str
    status: Sameness
    changes: tuple[Change, ...] = ()
    facts_a: Facts = field(default_factory=Facts)
    facts_b: Facts = field(default_factory=Facts)
    parts_a: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    parts_b: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    children: tuple["ModuleDiff", ...] = ()
    numbers: tuple[str, ...] = ()

    @property
    def repeats(self) -> int:
        """How many alike modules it stands for."""
        return max(1, len(self.numbers))

    @property
    def title(self) -> str:
        """Its path in words: ``transformer/h/0..31``."""
        return "/".join((*self.path[:-1], self.name)) if self.path else "(the model itself)"

    @property
    def name(self) -> str:
        """The last part of its path; of several, the first and the last of them."""
        if not self.numbers:
            return self.path[-1] if self.path else "model"
        return f"{self.numbers[0]} .. {TEXT.sub('', self.numbers[-1])}"

    @property
    def tree_status(self) -> Sameness:
        """Of the module and all within: changed where anything differs, unless one side has nothing of it at all."""
        if self.status in (Sameness.ONLY_A, Sameness.ONLY_B):
            return self.status
        below = {child.tree_status for child in self.children}
        return Sameness.SAME if {self.status, *below} == {Sameness.SAME} else Sameness.CHANGED

    def walk(self) -> Iterator["ModuleDiff"]:
        """Yield the module and all within, depth first."""
        yield self
        for child in self.children:
            yield from child.walk()

    @cached_property
    def totals(self) -> tuple["Totals", "Totals"]:
        """What the module and all within have, in A and in B; of several alike ones, of one of them."""
        below = [(child.totals, child.repeats) for child in self.children]
        a, b = (
            Totals(
                parameters=own.parameter_count + sum(times * total[side].parameters for total, times in below),
                flop=own.flop + sum(times * total[side].flop for total, times in below),
                bytes=own.bytes + sum(times * total[side].bytes for total, times in below),
            )
            for side, own in enumerate((self.facts_a, self.facts_b))
        )
        return a, b


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Elements of parameters, floating-point operations, and bytes that are read and written."""

    parameters: int
    flop: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class SideFacts:
    """One side as a whole.

    Attributes:
        text: what the user named.
        kind: what it is, in a few words.
        vocabulary: whose names its operators have: JAX, ONNX, TFLite, TensorFlow; empty where it has no operators.
        inputs: its inputs.
        outputs: its outputs.
        total: all modules together.
        modules: how many there are.
        sizes: dynamic size -> the number that its cost is counted for.
        notes: what was decided about it, in words.
    """

    text: str
    kind: str
    vocabulary: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    total: Facts
    modules: int
    sizes: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Objection:
    """What a target says about one side alone: a rule, the operator that it is about, and how often."""

    rule: str
    severity: str
    title: str
    operator: str
    a: int
    b: int
    vendor: str
    fix: str


@dataclass(frozen=True, kw_only=True)
class NewOperator:
    """An operator that only one side has, and what the target's own list of operators says of it.

    ``listed`` is None where the target has no such list.
    """

    operator: str
    side: str
    count: int
    listed: bool | None
    note: str


UNLISTED = "not listed"
"""What a list says of an operator that it has in no version (`lwmport.targets.operators.ABSENT`)."""


@dataclass(frozen=True, kw_only=True)
class TargetMeaning:
    """What the difference means for one target.

    ``status_a`` and ``status_b`` are the verdicts of its rules; empty where a side cannot be asked about, which
    ``notes`` explain.
    """

    target: str
    status_a: str
    status_b: str
    objections: tuple[Objection, ...] = ()
    operators: tuple[NewOperator, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What it comes to, in words."""
        new = [one for one in self.objections if one.b > one.a]
        gone = [one for one in self.objections if one.a > one.b]
        unlisted = [one.operator for one in self.operators if one.side == "B" and one.note == UNLISTED]
        words = [
            _said("B has", new),
            _said("A has", gone),
            f"its list of operators has no {', '.join(unlisted)}, which only B has" if unlisted else "",
        ]
        told = "; ".join(filter(None, words))
        if told or not (self.status_a or self.status_b):
            return told or "not asked"
        return "the rules say the same of both" if self.status_a and self.status_b else "one side is asked about alone"


def _said(side: str, objections: list[Objection]) -> str:
    counts = Counter(one.severity for one in objections)
    told = ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for word, count in counts.items())
    return f"{side} {told} that the other has not" if told else ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two sides, held side by side.

    Attributes:
        a: the first side.
        b: the second side.
        root: the tree of modules of both, alike neighbours told one by one.
        compared_by: ``operators`` where both sides name their operators alike, ``kinds of operators`` where they do
            not, ``parameters`` where a side has no operators.
        interface: inputs and outputs that differ, in words.
        targets: what it means for each target.
        edges_a: which places hand values on to which, in A; paths are those of the tree of both.
        edges_b: the same of B.
        notes: what was decided in comparing, in words.
    """

    a: SideFacts
    b: SideFacts
    root: ModuleDiff
    compared_by: str
    interface: tuple[Change, ...] = ()
    targets: tuple[TargetMeaning, ...] = ()
    edges_a: frozenset[tuple[Place, Place]] = frozenset()
    edges_b: frozenset[tuple[Place, Place]] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return self.root.tree_status is Sameness.SAME and not self.interface

    @property
    def status(self) -> str:
        """The answer in a word."""
        return "same" if self.same else "different"

    @cached_property
    def counts(self) -> Mapping[Sameness, int]:
        """How many modules there are of each status."""
        found = Counter(module.status for module in self.root.walk())
        return {status: found[status] for status in Sameness}

    @property
    def sentence(self) -> str:
        """The answer in words."""
        counts = ", ".join(f"{count:,} {status}" for status, count in self.counts.items() if count)
        more = f"; {len(self.interface)} inputs or outputs differ" if self.interface else ""
        return f"modules: {counts}{more}. Compared by {self.compared_by}"
