"""Which module of one side is which of the other: by path, by a family's table of names, or by shape and order."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import count
from typing import Any, Final, TypeAlias

from lwmport.errors import PortError
from lwmport.models.module_paths import module_of
from lwmport.models.specs import FAMILIES
from lwmport.pipeline.compare.structure import Path, Structure
from lwmport.reports.comparison.facts import Facts, Tensor, sizes_of

BY_PATH: Final = "path"
BY_TABLE: Final = "table of names"
BY_SHAPE: Final = "shape and order"
BY_MODULES: Final = "modules within"

MOST: Final = 5_000
"""Modules that are matched by shape and order; the time grows with the square of their number."""

Signature: TypeAlias = tuple[tuple[int, ...], ...]


@dataclass(kw_only=True)
class Matches:
    """Module of B -> that of A, and how it was found; each module of A once."""

    found: dict[Path, tuple[Path, str]] = field(default_factory=dict)
    taken: set[Path] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def add(self, b: Path, a: Path, how: str) -> None:
        """Note that two modules are one, unless either is matched already."""
        if b not in self.found and a not in self.taken:
            self.found[b] = (a, how)
            self.taken.add(a)

    @property
    def counts(self) -> Counter[str]:
        """How many modules were matched in each way."""
        return Counter(how for _, how in self.found.values())


def match(a: Structure, b: Structure) -> Matches:
    """Return which modules of both sides are one. Nothing is matched without a name, a table or a shape that agrees."""
    matches = Matches()
    matches.add((), (), BY_PATH)
    for path in b.facts:
        if path in a.facts:
            matches.add(path, path, BY_PATH)
    names = {_table_name(path): path for path in a.facts if path}
    for path in b.facts:
        if _table_name(path) in names:
            matches.add(path, names[_table_name(path)], BY_TABLE)
    _climb(matches)
    _by_shape(matches, a.facts, b.facts)
    _climb(matches)
    return matches


def _table_name(path: Path) -> Path:
    """Return what a family of ours calls a module that has a name of Hugging Face's; any other by its own path.

    Names in front, which a wrapper around the model adds, are left out.
    """
    for start in range(len(path)):
        name = ".".join((*path[start:], "weight"))
        for spec in FAMILIES.values():
            for named in dict.fromkeys(folder.named for folder in spec.all_folders):
                try:
                    found = named(name, {})
                except (PortError, LookupError, TypeError, ValueError, AttributeError):
                    continue  # a table that asks the configuration, which nobody told
                if found is not None:
                    return module_of(found.name)
    return path


def _climb(matches: Matches) -> None:
    """Match the modules that hold matched ones: the pair that most of those within speak for."""
    votes: Counter[tuple[Path, Path]] = Counter()
    for b, (a, _) in matches.found.items():
        length = 1
        while length < min(len(a), len(b)):
            votes[b[:-length], a[:-length]] += 1
            length += 1
    for (b, a), _ in sorted(votes.items(), key=lambda item: (-item[1], item[0])):
        matches.add(b, a, BY_MODULES)


def _by_shape(matches: Matches, a: Mapping[Path, Facts], b: Mapping[Path, Facts]) -> None:
    """Match modules whose parameters have the same sizes, in the order of both sides.

    What is left is matched by its matrices and kernels alone, for some writers hide a bias in an operator of its own.
    """
    left_a = [path for path, facts in a.items() if facts.parameters and path not in matches.taken]
    left_b = [path for path, facts in b.items() if facts.parameters and path not in matches.found]
    if max(len(left_a), len(left_b)) > MOST:
        matches.notes.append(f"more than {MOST:,} modules have names of their own: none was matched by shape")
        return
    whole = {path: _signature(side[path], 0) for side, left in ((a, left_a), (b, left_b)) for path in left}
    _in_order(matches, [(path, whole[path]) for path in left_a], [(path, whole[path]) for path in left_b])
    rows_a = [(path, _signature(a[path], 2)) for path in left_a if path not in matches.taken]
    rows_b = [(path, _signature(b[path], 2)) for path in left_b if path not in matches.found]
    known = {whole[path] for path, _ in rows_a}
    _in_order(matches, rows_a, [row for row in rows_b if whole[row[0]] not in known])


def _in_order(matches: Matches, a: list[tuple[Path, Signature]], b: list[tuple[Path, Signature]]) -> None:
    """Match modules of equal signatures, in runs that both sides have in the same order; others are no gap in a run."""
    common = {found for _, found in a} & {found for _, found in b} - {()}
    a, b = ([row for row in side if row[1] in common] for side in (a, b))
    matcher = SequenceMatcher(None, [found for _, found in a], [found for _, found in b], autojunk=False)
    for start_a, start_b, length in matcher.get_matching_blocks():
        for place in range(length):
            matches.add(b[start_b + place][0], a[start_a + place][0], BY_SHAPE)


def _signature(facts: Facts, axes: int) -> Signature:
    """Return the sizes of the parameters of at least so many axes."""
    return tuple(sorted(sizes for sizes in map(sizes_of, facts.parameters) if len(sizes) >= axes))


def paired_parts(a: Mapping[int, Mapping[str, int]], b: Mapping[int, Mapping[str, int]]) -> dict[int, int]:
    """Return each part of what a module of B does itself -> the part of A that it is, or a number that A has not.

    Parts are one where they have the same operators, in order, whatever the case of their names. Between such ones, all
    are paired if both sides have as many, else those that share most operators.
    """
    left, right = sorted(a), sorted(b)
    words_a, words_b = (
        [frozenset(map(str.lower, side[n])) for n in numbers] for side, numbers in ((a, left), (b, right))
    )
    places: dict[int, int] = {}
    matcher = SequenceMatcher(None, words_a, words_b, autojunk=False)
    for _, a_from, a_to, b_from, b_to in matcher.get_opcodes():
        if a_to - a_from == b_to - b_from:
            places |= dict(zip(range(b_from, b_to), range(a_from, a_to), strict=True))
            continue
        at = b_from
        for place in range(a_from, a_to):
            likeness = {n: _likeness(words_a[place], words_b[n]) for n in range(at, b_to)}
            best = max(likeness, key=likeness.__getitem__, default=-1)
            if likeness.get(best, 0):
                places[best], at = place, best + 1
    free = count(max(left, default=0) + 1)
    return {number: left[places[n]] if n in places else next(free) for n, number in enumerate(right)}


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)


def paired(a: Iterable[Tensor], b: Iterable[Tensor]) -> list[tuple[Tensor | None, Tensor | None]]:
    """Return the parameters of two modules in pairs: by name, then by sizes in order; what is left stands alone."""
    left_a, left_b = list(a), list(b)
    pairs: list[tuple[Tensor | None, Tensor | None]] = []
    for key in (_name, sizes_of):
        free: dict[Any, deque[Tensor]] = defaultdict(deque)
        for other in left_b:
            free[key(other)].append(other)
        found = [(one, free[key(one)].popleft()) for one in left_a if free[key(one)]]
        pairs += found
        left_a = _without(left_a, {id(one) for one, _ in found})
        left_b = _without(left_b, {id(other) for _, other in found})
    if len(left_a) == len(left_b) == 1:
        return [*pairs, (left_a[0], left_b[0])]
    return [*pairs, *((one, None) for one in left_a), *((None, other) for other in left_b)]


def _name(tensor: Tensor) -> str:
    return tensor.name


def _without(tensors: list[Tensor], gone: set[int]) -> list[Tensor]:
    return [tensor for tensor in tensors if id(tensor) not in gone]
