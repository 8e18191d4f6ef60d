"""A graph as the rules see it, whatever its format: nodes, typed values, and constants that can be read in pieces."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from lwmport.onnx_dtypes import BITS
from lwmport.types import Array, Dim, dtype_of

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
"""Input -> the sizes that it is to have."""

SMALL: Final = 1 << 16
"""Bytes of the largest constant whose value a rule may ask for at once."""

RANDOM: Final = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
"""Operators whose result does not follow from their operands."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """A tensor of the graph. ``shape`` is None and ``dtype`` is empty where the file does not say and none follows."""

    name: str
    shape: tuple[Dim, ...] | None = None
    dtype: str = ""

    @property
    def static(self) -> bool:
        """Whether every size is a number."""
        return self.shape is not None and all(isinstance(dim, int) for dim in self.shape)

    @property
    def rank(self) -> int | None:
        """The number of axes, if known."""
        return None if self.shape is None else len(self.shape)


_NOTHING: Final = Value(name="")


UNNAMED: Final = "?"
"""A size that a file gives neither a number nor a name."""


def numbered(values: Iterable[Value]) -> tuple[Value, ...]:
    """Return inputs whose unnamed sizes have a name each, ``?0``, ``?1``: nothing says that two of them are equal."""
    values = tuple(values)
    taken = {dim for value in values for dim in value.shape or ()}
    names = (name for name in (f"{UNNAMED}{number}" for number in count()) if name not in taken)
    return tuple(
        value
        if value.shape is None
        else replace(value, shape=tuple(next(names) if dim == UNNAMED else dim for dim in value.shape))
        for value in values
    )


LARGEST: Final = 1 << 62
"""What sizes and bytes are counted up to: a file can claim a tensor of any number of axes of 2^63 - 1."""


def product(sizes: Iterable[int]) -> int:
    """Return the product of some sizes, at most `LARGEST`, and 0 where one is below zero."""
    found = 1
    for size in sizes:
        found = min(found * max(size, 0), LARGEST)
    return found


def bytes_of(shape: Iterable[int], dtype: str) -> int:
    """Return the bytes of a tensor, at most `LARGEST`; a dtype that is not known counts as one byte."""
    try:
        return min(-(-product(shape) * BITS.get(dtype, 8 * dtype_of(dtype).itemsize) // 8), LARGEST)
    except TypeError:
        return product(shape)


@dataclass(frozen=True, kw_only=True)
class Constant:
    """A constant tensor. ``location`` is the file beside the model that holds it, empty for the model itself.

    ``blocks`` yields its elements in flat pieces of bounded size, and nothing where they cannot be read; ``keys`` are
    the names of the entries that say where it lies, in the order of the file.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    location: str = ""
    keys: tuple[str, ...] = ()
    raw: bool = True
    sparse: bool = False
    blocks: Callable[[], Iterable[Array]] = lambda: ()

    def value(self) -> Array | None:
        """Return the whole array of a small constant, and None for a large one or one that cannot be read."""
        if self.nbytes > SMALL:
            return None
        pieces = list(self.blocks())
        found = np.concatenate(pieces) if pieces else np.zeros(0)
        whole = found.size == product(self.shape) and min(self.shape, default=0) >= 0
        return found.reshape(self.shape) if whole else None


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operation. ``scope`` is the path of the bodies and functions that it lies in, empty at the top.

    Attributes are plain values; a tensor is an array if it is small, else None; a body is its number of nodes.
    ``version`` is that of the operator, in formats that give one for each. ``module`` is the module that it was written
    in, where the exporter tells that.
    """

    name: str
    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    scope: str = ""
    version: int = 0
    module: tuple[str, ...] = ()

    def input(self, index: int) -> str:
        """Return the name of an input, empty if it is left out."""
        return self.inputs[index] if index < len(self.inputs) else ""


MISFIT: Final = "misfit"
"""A node has what its operator does not have: see `lwmport.targets.graphs.misfits`."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A fault of the file itself. ``kind`` says which: `MISFIT`, or one of `lwmport.targets.graphs.external`."""

    kind: str
    where: str
    found: str
    operator: str = ""


@dataclass(frozen=True, kw_only=True)
class Graph:
    """One model file; ``opsets`` are the versions of its domains, ``functions`` the (domain, name) that it carries.

    ``public`` maps inputs and outputs to the names that callers give them, where a file has such: TFLite's signature.
    ``ir`` is the version of ONNX's file format, 0 in other formats.
    """

    path: Path
    form: str
    nodes: tuple[Node, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    values: Mapping[str, Value]
    constants: Mapping[str, Constant]
    file_bytes: int
    opsets: Mapping[str, int] = field(default_factory=dict)
    functions: tuple[tuple[str, str], ...] = ()
    problems: tuple[Problem, ...] = ()
    public: Mapping[str, str] = field(default_factory=dict)
    ir: int = 0

    @property
    def opset(self) -> int:
        """The version of the default domain, 0 where there is none."""
        return self.opsets.get("", 0)

    @cached_property
    def readers(self) -> Mapping[str, list[Node]]:
        """Value -> the nodes that read it."""
        found: dict[str, list[Node]] = defaultdict(list)
        for node in self.nodes:
            for name in node.inputs:
                found[name].append(node)
        return found

    @cached_property
    def makers(self) -> Mapping[str, Node]:
        """Value -> the node that makes it."""
        return {name: node for node in self.nodes for name in node.outputs}

    @cached_property
    def known(self) -> frozenset[str]:
        """What a compiler can compute before the model runs: constants, static shapes, and what follows from them."""
        found = set(self.constants)
        for node in self.nodes:
            shaped = node.op in {"Shape", "Size"} and self.values.get(node.input(0), _NOTHING).static
            if node.op not in RANDOM and (shaped or all(name in found for name in node.inputs if name)):
                found.update(node.outputs)
        return frozenset(found)

    @cached_property
    def operators(self) -> Counter[tuple[str, str]]:
        """How many nodes there are of each (domain, operator)."""
        return Counter((node.domain, node.op) for node in self.nodes)

    def dtype(self, name: str) -> str:
        """Return the dtype of a value, empty if unknown."""
        return self.values[name].dtype if name in self.values else ""

    def shape(self, name: str) -> tuple[Dim, ...] | None:
        """Return the shape of a value, None if unknown."""
        return self.values[name].shape if name in self.values else None

    def constant(self, name: str) -> Array | None:
        """Return the value of a small constant, None for anything else."""
        return self.constants[name].value() if name in self.constants else None

    def of(self, *operators: str) -> Iterator[Node]:
        """Yield the nodes of some operators of the default domain."""
        return (node for node in self.nodes if node.domain == "" and node.op in operators)
