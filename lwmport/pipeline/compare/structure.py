"""A model as a comparison sees it, whatever it is kept in: parameters and operators, each in its module."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, TypeAlias

from lwmport.reports.comparison.facts import WITHIN, Facts, Tensor
from lwmport.reports.comparison.record import Place

Path: TypeAlias = tuple[str, ...]

DEEPEST: Final = 24
"""Parts of a module's path; what lies deeper is one module. No model has more, but a file may claim any number."""

INPUT: Final = "input: "
OUTPUT: Final = "output: "
"""What the place of an input or an output of the model begins with: a path of one part."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one operator costs: its kinds, floating-point operations, and bytes read and written.

    ``flop`` is None where the shapes are not known. ``main`` is the part of products of matrices and convolutions.
    """

    kinds: Mapping[str, int]
    flop: int | None
    main: int = 0
    bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator: its name, what it is made of if it is a composite, and the values that it reads and makes."""

    name: str
    path: Path
    cost: Cost
    inputs: tuple[Any, ...] = ()
    outputs: tuple[Any, ...] = ()
    inside: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter: the module that it is in, its whole name in the file, and the tensor by its name in the module."""

    path: Path
    full: str
    tensor: Tensor


@dataclass(frozen=True, kw_only=True)
class Structure:
    """A whole side, or one model of several.

    Attributes:
        kind: what it is, in a few words.
        vocabulary: whose names the operators have; empty where there are none.
        parameters: in the order of the file, or of first use.
        operators: in the order in which they run.
        inputs: of the model. ``reads`` holds the value of each.
        outputs: of the model. ``makes`` holds the value of each.
        sizes: dynamic size -> the number that the cost is counted for.
        notes: what was decided, in words.
    """

    kind: str
    vocabulary: str
    parameters: tuple[Parameter, ...]
    operators: tuple[Operator, ...] = ()
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    reads: tuple[Any, ...] = ()
    makes: tuple[Any, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @cached_property
    def facts(self) -> dict[Path, Facts]:
        """What each module has of its own, in the order in which they run; modules that only hold others included."""
        parameters, operators = defaultdict(list), defaultdict(list)
        order: dict[Path, None] = {(): None}
        for operator in self.operators:
            operators[operator.path].append(operator)
            order.update(dict.fromkeys(_prefixes(operator.path)))
        for parameter in self.parameters:
            parameters[parameter.path].append(parameter.tensor)
            order.update(dict.fromkeys(_prefixes(parameter.path)))
        return {path: _facts(parameters[path], operators[path]) for path in order}

    @cached_property
    def parts(self) -> Mapping[Path, Mapping[int, Mapping[str, int]]]:
        """The own operators of each module, by when they run beside its children: see `Place`."""
        found: dict[Path, dict[int, Counter[str]]] = defaultdict(dict)
        for operator, part in zip(self.operators, self._ranks, strict=True):
            found[operator.path].setdefault(part, Counter())[operator.name] += 1
        return found

    @cached_property
    def edges(self) -> frozenset[tuple[Place, Place]]:
        """Which places hand values on to which, inputs and outputs of the model included."""
        made: dict[Any, Place] = {
            value: ((f"{INPUT}{tensor.name}",), 0) for value, tensor in zip(self.reads, self.inputs, strict=False)
        }
        found: set[tuple[Place, Place]] = set()
        for operator, rank in zip(self.operators, self._ranks, strict=True):
            place = (operator.path, rank)
            found |= {(made[value], place) for value in operator.inputs if value in made and made[value] != place}
            made.update(dict.fromkeys(operator.outputs, place))
        for value, tensor in zip(self.makes, self.outputs, strict=False):
            found |= {(made[value], ((f"{OUTPUT}{tensor.name}",), 0))} if value in made else set()
        return frozenset(found)

    @cached_property
    def _ranks(self) -> list[int]:
        """Return, for each operator, how many times values have gone through a child of its module before it.

        What a module does of its own before, between and behind its children are different places of the drawing.
        """
        makers: dict[Any, int] = {}
        ranks: dict[tuple[Path, Path], int] = defaultdict(int)
        own: list[int] = []
        for number, operator in enumerate(self.operators):
            before = {makers[value] for value in operator.inputs if value in makers}
            for depth in range(len(operator.path) + 1):
                module, child = operator.path[:depth], operator.path[: depth + 1]
                rank = 0
                for maker in before:
                    path = self.operators[maker].path
                    if path[:depth] == module:
                        passed = ranks[module, path[: depth + 1]] if len(path) > depth else own[maker]
                        rank = max(rank, passed + (len(path) > depth and child == module))
                if child == module:
                    own.append(rank)
                else:
                    ranks[module, child] = max(ranks[module, child], rank)
            makers.update(dict.fromkeys(operator.outputs, number))
        return own

    def below(self, name: str) -> "Structure":
        """Return the structure as one model of several: its modules lie in one that is called ``name``."""
        return replace(
            self,
            parameters=tuple(
                replace(one, path=(name, *one.path), full=f"{name}/{one.full}") for one in self.parameters
            ),
            operators=tuple(
                replace(
                    one,
                    path=(name, *one.path),
                    inputs=tuple((name, value) for value in one.inputs),
                    outputs=tuple((name, value) for value in one.outputs),
                )
                for one in self.operators
            ),
            inputs=tuple(replace(one, name=f"{name}/{one.name}") for one in self.inputs),
            outputs=tuple(replace(one, name=f"{name}/{one.name}") for one in self.outputs),
            reads=tuple((name, value) for value in self.reads),
            makes=tuple((name, value) for value in self.makes),
        )


def together(a: Mapping[str, Structure], b: Mapping[str, Structure]) -> tuple[Structure, Structure]:
    """Return the models of each side as one structure.

    Where a side has several, each lies in a module of its name. A checkpoint has one tree for all models: beside one,
    the modules of all models lie in one tree too, and a parameter that several have is there once.
    """
    one_tree = not all(structure.vocabulary for structure in (*a.values(), *b.values()))
    if (len(a) == 1 and len(b) == 1) or one_tree:
        return _joined(a.values()), _joined(b.values())
    names = _paired_names(list(a), list(b)) if len(a) == len(b) else dict(zip(b, b, strict=True))
    told = tuple(f"{name} is held against {other} of A" for name, other in names.items() if name != other)
    second = _joined(one.below(names[name]) for name, one in b.items())
    return _joined(one.below(name) for name, one in a.items()), replace(second, notes=(*told, *second.notes))


def _paired_names(a: list[str], b: list[str]) -> dict[str, str]:
    """Return each model of B -> the one of A that it is held against: that of its name, else the next that is free."""
    free = iter([name for name in a if name not in b])
    return {name: name if name in a else next(free) for name in b}


def _joined(structures: Iterable[Structure]) -> Structure:
    several = list(structures)
    first = several[0]
    if len(several) == 1:
        return first
    parameters = {(item.path, item.tensor): item for one in several for item in one.parameters}
    return Structure(
        kind=f"{len(several)} models, each {first.kind}",
        vocabulary=next((one.vocabulary for one in several if one.vocabulary), ""),
        parameters=tuple(parameters.values()),
        operators=tuple(item for one in several for item in one.operators),
        inputs=tuple(item for one in several for item in one.inputs),
        outputs=tuple(item for one in several for item in one.outputs),
        reads=tuple(item for one in several for item in one.reads),
        makes=tuple(item for one in several for item in one.makes),
        sizes={name: size for one in several for name, size in one.sizes.items()},
        notes=tuple(dict.fromkeys(note for one in several for note in one.notes)),
    )


def bounded(path: Iterable[str]) -> Path:
    """Return a path of at most `DEEPEST` parts, without empty ones."""
    parts = tuple(part for part in path if part)
    return parts if len(parts) <= DEEPEST else (*parts[: DEEPEST - 1], "/".join(parts[DEEPEST - 1 :]))


def _prefixes(path: Path) -> Iterator[Path]:
    return (path[:length] for length in range(len(path) + 1))


def _facts(parameters: list[Tensor], operators: list[Operator]) -> Facts:
    names: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for operator in operators:
        names[operator.name] += 1
        names.update({f"{operator.name}{WITHIN}{name}": count for name, count in operator.inside.items()})
        kinds.update(operator.cost.kinds)
    return Facts(
        parameters=tuple(parameters),
        operators=dict(names),
        kinds=dict(kinds),
        flop=sum(one.cost.flop or 0 for one in operators),
        main_flop=sum(one.cost.main for one in operators),
        bytes=sum(one.cost.bytes for one in operators),
        uncounted=sum(one.cost.flop is None for one in operators),
    )
