"""A rule: what it looks for in a graph, what the vendor's tool would say, and what to do."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np

from lwmport.targets.chip import Chip
from lwmport.targets.graphs.record import Constant, Graph, Node
from lwmport.types import Severity

NO_CHIP: Final = Chip(name="", family="")

READ: Final = 1 << 36
"""Bytes of constants that are looked at; a file can name the same bytes any number of times."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is checked, for which chip and version of the vendor's tools, and in which precision it will run."""

    graph: Graph
    chip: Chip = NO_CHIP
    toolkit: tuple[int, ...] = ()
    precision: str = "float16"

    @cached_property
    def spans(self) -> Mapping[str, "Span"]:
        """Constant -> the range of its elements, for floats that could be read; each is read once, in pieces."""
        found, left = {}, READ
        for item in self.graph.constants.values():
            left -= item.nbytes
            if _is_float(item.dtype) and item.nbytes and left >= 0:
                found[item.name] = span_of(item)
        return found


@dataclass(frozen=True, kw_only=True)
class Span:
    """The range of a constant's finite elements, and how many are not finite."""

    low: float = 0.0
    high: float = 0.0
    infinite: int = 0
    nan: int = 0

    @property
    def largest(self) -> float:
        """The largest absolute value."""
        return max(abs(self.low), abs(self.high))


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One place where a rule applies; ``severity`` where it differs from the rule's."""

    where: str = ""
    operator: str = ""
    found: str = ""
    severity: Severity | None = None

    @classmethod
    def at(cls, node: Node, found: str, severity: Severity | None = None) -> "Hit":
        """Return a hit at a node: by its name, or by its first output where it has none."""
        where = node.name or next(iter(node.outputs), "")
        return cls(where=where, operator=node.op, found=found, severity=severity)


Look: TypeAlias = Callable[[Subject], Iterable[Hit]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of a target. ``vendor`` is what its tool says or does, ``source`` where that is known from.

    ``fixable`` if `lwmport.targets.fix` mends it.
    """

    id: str
    severity: Severity
    title: str
    vendor: str
    fix: str
    source: str
    look: Look
    forms: tuple[str, ...] = ("onnx",)
    fixable: bool = False


def span_of(constant: Constant) -> Span:
    """Return the range of a constant, read in pieces."""
    low = high = 0.0
    infinite = nan = 0
    for block in filter(np.size, constant.blocks()):
        values = block if block.dtype in (np.float32, np.float64) else block.astype(np.float32)
        least, most = float(values.min()), float(values.max())
        if not (np.isfinite(least) and np.isfinite(most)):
            nan += int(np.isnan(values).sum())
            infinite += int(np.isinf(values).sum())
            values = values[np.isfinite(values)]
            least, most = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
        low, high = min(low, least), max(high, most)
    return Span(low=low, high=high, infinite=infinite, nan=nan)


def _is_float(dtype: str) -> bool:
    return dtype in {"float16", "float32", "float64", "bfloat16"}
