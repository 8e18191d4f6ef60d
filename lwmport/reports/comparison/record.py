"""A comparison as data: two sides, the tree of their modules, and what the targets say."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final, TypeAlias

from lwmport.reports.comparison.facts import Facts, Tensor, Totals
from lwmport.reports.comparison.meaning import TargetMeaning

Place: TypeAlias = tuple[tuple[str, ...], int]
"""A module by its path, and which part of its own operators: how many children values have gone through before them."""


TEXT: Final = re.compile(r"^.*\D(?=\d+$)")
"""What stands before the number of a name."""


class Sameness(StrEnum):
    """Whether both sides have something, and whether it is alike."""

    SAME = "same"
    CHANGED = "changed"
    ONLY_A = "only in A"
    ONLY_B = "only in B"


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
        """Of the module and all within: what all are, else changed."""
        below = {child.tree_status for child in self.children}
        return self.status if below <= {self.status} else Sameness.CHANGED

    def walk(self) -> Iterator["ModuleDiff"]:
        """Yield the module and all within, depth first."""
        yield self
        for child in self.children:
            yield from child.walk()

    @cached_property
    def totals(self) -> tuple[Totals, Totals]:
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
