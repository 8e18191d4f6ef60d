"""In which module each node of a model file is: by its exporter, its weights, its name, or its neighbours."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from lwmport.pipeline.compare.structure import Path, bounded
from lwmport.targets.graphs.record import Node

NUMBER: Final = re.compile(r"\d+")
SEPARATOR: Final = re.compile(r"[/.]")


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The module of every node, and how many were placed by what lies around them alone."""

    paths: tuple[Path, ...]
    by_neighbours: int


def place(nodes: Iterable[Node], weights: Mapping[str, Path]) -> Placement:
    """Return the module of each node, in order; ``weights`` are parameters by name, with their modules.

    A node that no name and no weight tells anything of lies in the nearest module that holds both the last weight
    before it and the first one behind it. A body is where the node is that runs it.
    """
    nodes = tuple(nodes)
    known = _Modules(weights.values())
    anchors = [node.module or _weight(node, weights) for node in nodes]
    before, behind = _last(nodes, anchors), _first(nodes, anchors)
    paths, guessed = [], 0
    bodies: dict[str, Path] = {}
    for number, node in enumerate(nodes):
        last = anchors[before[number]] if before[number] >= 0 else None
        next_ = anchors[behind[number]] if behind[number] >= 0 else None
        found = anchors[number]
        if found is None:
            found = bodies.get(node.scope)
        if found is None:
            found = known.named(node.name, [path for path in (last, next_) if path is not None])
        if found is None:
            guessed += 1
            found = _common(last, next_)
        bodies[f"{node.scope}/{node.name or node.op}"] = found
        paths.append(bounded(found))
    return Placement(paths=tuple(paths), by_neighbours=guessed)


class _Modules:
    """The modules that have parameters, and those that hold them."""

    def __init__(self, owners: Iterable[Path]) -> None:
        self.known: set[Path] = {owner[:length] for owner in owners for length in range(1, len(owner) + 1)}
        self._without_numbers: dict[Path, list[Path]] = defaultdict(list)
        for path in sorted(self.known):
            self._without_numbers[_names(path)].append(path)

    def named(self, name: str, around: Collection[Path]) -> Path | None:
        """Return the module that a node's name tells, None if it tells none.

        Names of classes stand between those of modules, and some writers leave numbers out: then it is the module that
        the weights around it are in.
        """
        parts = SEPARATOR.split(name)[:-1]
        path = self._down(parts)
        wanted = _names(tuple(parts))
        for start in range(len(wanted)):
            several = self._without_numbers.get(wanted[start:], ())
            if several and len(wanted) - start >= len(path):
                near = [one for beside in around for one in several if beside[: len(one)] == one]
                return near[0] if near else (several[0] if len(several) == 1 else path or None)
        return path or None

    def _down(self, parts: list[str]) -> Path:
        """Return the deepest module that the parts lead to, without those that are no module."""
        path: Path = ()
        for part in parts:
            if (*path, part) in self.known:
                path = (*path, part)
        return path


def _names(path: Path) -> Path:
    return tuple(part for part in path if not NUMBER.fullmatch(part))


def _weight(node: Node, weights: Mapping[str, Path]) -> Path | None:
    found = [weights[name] for name in node.inputs if name in weights]
    return found[0] if found else None


def _last(nodes: tuple[Node, ...], anchors: list[Path | None]) -> list[int]:
    """Return, for each node, the last node before it on any way to it that has an anchor; -1 for none."""
    reached: dict[str, int] = {}
    found = []
    for number, node in enumerate(nodes):
        before = max((reached.get(name, -1) for name in node.inputs), default=-1)
        found.append(before)
        reached.update(dict.fromkeys(node.outputs, number if anchors[number] is not None else before))
    return found


def _first(nodes: tuple[Node, ...], anchors: list[Path | None]) -> list[int]:
    """Return, for each node, the first node behind it on any way from it that has an anchor; -1 for none."""
    reached: dict[str, int] = {}
    found = [-1] * len(nodes)
    for number in range(len(nodes) - 1, -1, -1):
        behind = [reached[name] for name in nodes[number].outputs if name in reached]
        found[number] = min(behind, default=-1)
        own = number if anchors[number] is not None else found[number]
        if own >= 0:
            for name in nodes[number].inputs:
                reached[name] = min(own, reached.get(name, own))
    return found


def _common(one: Path | None, other: Path | None) -> Path:
    if one is None or other is None:
        return ()
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return one[:length] if length < len(one) or length < len(other) else one[:-1]
