"""What a fault is: a kind, the places that a model has for it, and the record of one that was planted."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from faults.draft import Draft, Operator


@dataclass(frozen=True, kw_only=True)
class Place:
    """One place of a model where a kind of fault can be planted.

    Attributes:
        operators: those that are wrong then, the first one computed first.
        change: changes the draft; raises `NoPlaceError` where the values do not suit.
        causes: the words that explain it, where they are others than the kind's.
    """

    operators: tuple[Operator, ...]
    change: Callable[[np.random.Generator], None]
    causes: tuple[str, ...] | None = None

    @property
    def nested(self) -> bool:
        """Return whether it lies in a branch or a loop."""
        return any(operator.nested for operator in self.operators)


def doing(function: Callable[..., object], *arguments: Any) -> Callable[[np.random.Generator], None]:
    """Return a change that draws nothing: a call with these arguments."""

    def change(_: np.random.Generator) -> None:
        function(*arguments)

    return change


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of fault.

    Attributes:
        group: weights, attributes, wiring, dtypes, masks or order.
        causes: words of the diagnosis that are right for it, the exact one first; none where no rule explains it.
        places: lists the places that a model has, without reading a weight.
    """

    group: str
    causes: tuple[str, ...]
    places: Callable[[Draft], Iterable[Place]]


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A fault that was planted.

    Attributes:
        kind: a key of `KINDS`.
        node: name of the wrong operator; in TFLite that of its first output. The first one where there are several.
        operator: its type in the words of the format. index: its place in the file's order.
        nodes: the names of all that are wrong, and of what encloses them: the node whose branch holds one, the nodes
            that call the function that does, the casts that were put in.
        cause: the exact word of the diagnosis; None where no rule explains the kind.
        causes: all words that are right.
    """

    kind: str
    node: str
    operator: str
    index: int
    nodes: tuple[str, ...]
    causes: tuple[str, ...]

    @property
    def cause(self) -> str | None:
        """The exact word of the diagnosis, if there is one."""
        return self.causes[0] if self.causes else None
