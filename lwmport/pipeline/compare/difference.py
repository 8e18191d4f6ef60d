"""Two structures as one tree of modules: what is the same, what differs, what only one has."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from lwmport.pipeline.compare.kinds import MAIN
from lwmport.pipeline.compare.matching import Matches, match, paired, paired_parts
from lwmport.pipeline.compare.structure import INPUT, OUTPUT, Path, Structure
from lwmport.reports.comparison.facts import Facts, Tensor, sizes_of
from lwmport.reports.comparison.meaning import TargetMeaning
from lwmport.reports.comparison.record import Change, Comparison, ModuleDiff, Place, Sameness, SideFacts
from lwmport.types import Dim

BY_OPERATORS: Final = "operators"
BY_KINDS: Final = "kinds of operators"
BY_PARAMETERS: Final = "parameters"


def compared(a: Structure, b: Structure, names: tuple[str, str], targets: tuple[TargetMeaning, ...] = ()) -> Comparison:
    """Return the comparison of two structures; ``names`` are what the user called them."""
    matches = match(a, b)
    how = _how(a, b)
    merged = _merged_paths(a, b, matches)
    back = {path: own for own, path in merged.items()}
    parts = {path: paired_parts(a.parts.get(merged[path], {}), found) for path, found in b.parts.items()}
    tree = _Tree(a, b, matches, back, parts)
    return Comparison(
        a=_side(a, names[0]),
        b=_side(b, names[1]),
        root=tree.module(()),
        compared_by=how,
        interface=tuple(_interface(a, b)),
        targets=targets,
        edges_a=a.edges,
        edges_b=frozenset((_placed(one, merged, parts), _placed(other, merged, parts)) for one, other in b.edges),
        notes=(*_told(matches, how), *matches.notes),
    )


def _how(a: Structure, b: Structure) -> str:
    if not (a.vocabulary and b.vocabulary):
        return BY_PARAMETERS
    return BY_OPERATORS if a.vocabulary == b.vocabulary else BY_KINDS


def _told(matches: Matches, how: str) -> Iterator[str]:
    counts = ", ".join(f"{count:,} by {word}" for word, count in matches.counts.items())
    yield f"modules matched: {counts}"
    if how == BY_KINDS:
        yield (
            "the sides call operators by different names: products of matrices and convolutions are held against each "
            "other, by number and by operations; the rest is listed"
        )


def _side(structure: Structure, text: str) -> SideFacts:
    return SideFacts(
        text=text,
        kind=structure.kind,
        vocabulary=structure.vocabulary,
        inputs=structure.inputs,
        outputs=structure.outputs,
        total=Facts.together(structure.facts.values()),
        modules=len(structure.facts),
        sizes=structure.sizes,
        notes=structure.notes,
    )


def _merged_paths(a: Structure, b: Structure, matches: Matches) -> dict[Path, Path]:
    """Return each module of B -> where it is in the tree of both: below what holds it, as A names that."""
    found: dict[Path, Path] = {}
    used = set(a.facts)
    for path in b.facts:
        if path in matches.found:
            found[path] = matches.found[path][0]
            continue
        name = path[-1]
        while (*found[path[:-1]], name) in used:
            name += "'"
        found[path] = (*found[path[:-1]], name)
        used.add(found[path])
    return found


Parts: TypeAlias = Mapping[Path, Mapping[int, int]]
"""Module of B -> its parts, as A numbers them."""


def _placed(place: Place, merged: Mapping[Path, Path], parts: Parts) -> Place:
    path, part = place
    if path and path[0].startswith((INPUT, OUTPUT)):
        return place
    return merged[path], parts[path][part]


class _Tree:
    """The modules of both sides, by where they are in the tree of both."""

    def __init__(self, a: Structure, b: Structure, matches: Matches, back: Mapping[Path, Path], parts: Parts) -> None:
        self._a, self._b, self._matches, self._back, self._parts = a, b, matches, back, parts
        self._how = _how(a, b)
        self._children = _in_order(a.facts, back)

    def module(self, path: Path) -> ModuleDiff:
        """Return a module and all within."""
        there = self._back.get(path)
        facts_a, facts_b = self._a.facts.get(path), None if there is None else self._b.facts[there]
        children = tuple(child for child in map(self.module, self._children.get(path, ())) if not _is_empty(child))
        changes: tuple[Change, ...] = ()
        if facts_a is not None and facts_b is not None:
            changes = tuple(_changes(facts_a, facts_b, self._how))
            status = Sameness.CHANGED if any(_counts(change, self._how) for change in changes) else Sameness.SAME
        else:
            status = _alone(facts_a, facts_b, children)
        return ModuleDiff(
            path=path,
            a=None if facts_a is None else path,
            b=there,
            matched_by="" if there is None or facts_a is None else self._matches.found[there][1],
            status=status,
            changes=changes,
            facts_a=facts_a or Facts(),
            facts_b=facts_b or Facts(),
            parts_a=self._a.parts.get(path, {}),
            parts_b={} if there is None else self._own_parts(there),
            children=children,
        )

    def _own_parts(self, there: Path) -> dict[int, Mapping[str, int]]:
        """Return what a module of B does itself, by the numbers that A has for it."""
        return {self._parts[there][number]: part for number, part in self._b.parts.get(there, {}).items()}


def _alone(a: Facts | None, b: Facts | None, children: tuple[ModuleDiff, ...]) -> Sameness:
    """Return the status of a module of one side: it is no difference if it only holds modules that both sides have."""
    status = Sameness.ONLY_B if a is None else Sameness.ONLY_A
    own = b if a is None else a
    holds = own is not None and not own.parameters and not own.operators
    return Sameness.SAME if holds and any(child.tree_status is not status for child in children) else status


def _in_order(a: Iterable[Path], both: Iterable[Path]) -> dict[Path, list[Path]]:
    """Return the children of each module: those of A in their order, one of B alone behind the one before it in B."""
    known = dict.fromkeys(a)
    rows: dict[Path, list[Path]] = defaultdict(list)
    for path in known:
        if path:
            rows[path[:-1]].append(path)
    behind: dict[Path, dict[Path, list[Path]]] = defaultdict(lambda: defaultdict(list))
    last: dict[Path, Path] = {}
    for path in both:
        if path and path in known:
            last[path[:-1]] = path
        elif path:
            behind[path[:-1]][last.get(path[:-1], ())].append(path)
    for above, new in behind.items():
        rows[above] = [one for path in ((), *rows[above]) for one in ((path, *new[path]) if path else new[path])]
    return rows


def _is_empty(module: ModuleDiff) -> bool:
    """Return whether a module of one side only holds modules that are elsewhere in the tree of both."""
    own = (module.facts_a, module.facts_b)
    return not module.children and not any(facts.parameters or facts.operators for facts in own)


def _counts(change: Change, how: str) -> bool:
    """Return whether a change makes a module another one: each format has its own order of axes."""
    return change.what != "layout" or how == BY_OPERATORS


def _changes(a: Facts, b: Facts, how: str) -> Iterator[Change]:
    for one, other in paired(a.parameters, b.parameters):
        yield from _parameter_changes(one, other)
    if how == BY_PARAMETERS:
        return
    counts_a, counts_b = (a.operators, b.operators) if how == BY_OPERATORS else (a.kinds, b.kinds)
    names = [name for name in dict.fromkeys((*counts_a, *counts_b)) if how == BY_OPERATORS or name in MAIN]
    for name in names:
        if counts_a.get(name, 0) != counts_b.get(name, 0):
            yield Change(what="operators", name=name, a=str(counts_a.get(name, 0)), b=str(counts_b.get(name, 0)))
    cost_a, cost_b = (a.flop, b.flop) if how == BY_OPERATORS else (a.main_flop, b.main_flop)
    if cost_a != cost_b and not (a.uncounted or b.uncounted):
        yield Change(what="cost", name="FLOP", a=f"{cost_a:,}", b=f"{cost_b:,}")


def _parameter_changes(one: Tensor | None, other: Tensor | None) -> Iterator[Change]:
    if one is None or other is None:
        there = one or other
        name = there.name if there is not None else ""
        yield Change(what="parameter", name=name, a=one.words if one else "", b=other.words if other else "")
        return
    name = one.name if one.name == other.name else f"{one.name} ({other.name} in B)"
    if one.shape != other.shape:
        what = "layout" if sizes_of(one) == sizes_of(other) else "shape"
        yield Change(what=what, name=name, a=_sizes(one), b=_sizes(other))
    if one.dtype != other.dtype:
        yield Change(what="dtype", name=name, a=one.dtype, b=other.dtype)


def _sizes(tensor: Tensor) -> str:
    return f"[{', '.join(map(str, tensor.shape or ()))}]"


def _interface(a: Structure, b: Structure) -> Iterator[Change]:
    """Yield the inputs and outputs that differ; a checkpoint has none, and nothing is said of it."""
    for word, left, right in (("input", a.inputs, b.inputs), ("output", a.outputs, b.outputs)):
        if not (a.vocabulary and b.vocabulary):
            continue
        ones, others = {tensor.name: tensor for tensor in left}, {tensor.name: tensor for tensor in right}
        for name in dict.fromkeys((*ones, *others)):
            one, other = ones.get(name), others.get(name)
            if one is None or other is None or not _alike(one, other):
                yield Change(what=word, name=name, a=one.words if one else "", b=other.words if other else "")


def _alike(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors of one name are alike; what a file does not say contradicts nothing."""
    if one.dtype and other.dtype and one.dtype != other.dtype:
        return False
    if one.shape is None or other.shape is None:
        return True
    return len(one.shape) == len(other.shape) and all(map(_alike_sizes, one.shape, other.shape))


def _alike_sizes(one: Dim, other: Dim) -> bool:
    if one == other or (isinstance(one, str) and isinstance(other, str) and "?" in one + other):
        return True
    return isinstance(one, str) and isinstance(other, str) and _terms(one) == _terms(other)


def _terms(dim: str) -> list[str]:
    return sorted(term.strip() for term in dim.split("+"))
