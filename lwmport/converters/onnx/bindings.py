"""Which values of the graph stand for which variables of the program, in nested scopes.

A value can be bound at once or deferred until somebody reads it. What is made inside the body of a loop or a branch is
forgotten when that ends, for the graph around it cannot see it.
"""

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import onnx_ir as ir

Order: TypeAlias = tuple[int, ...]


class Bindings:
    """Variables -> their values by axis order, or what makes them; who reads them; what rules note about them."""

    def __init__(self, readers: Mapping[Any, list[Any]]) -> None:
        self._values: ChainMap[Any, dict[Order, ir.Value]] = ChainMap()
        self._pending: ChainMap[Any, Callable[[], None]] = ChainMap()
        self._readers: ChainMap[Any, list[Any]] = ChainMap(dict(readers))
        self.notes: ChainMap[Any, Any] = ChainMap()

    def __contains__(self, variable: object) -> bool:
        return variable in self._values or variable in self._pending

    def bind(self, variable: Any, value: ir.Value, order: Order) -> None:
        """Record that ``value`` is ``variable`` in an axis order."""
        self._values.maps[0][variable] = {**self._values.get(variable, {}), order: value}

    def defer(self, variable: Any, make: Callable[[], None]) -> None:
        """Record how a variable is bound once somebody reads it."""
        self._values.maps[0].pop(variable, None)
        self._pending[variable] = make

    def values(self, variable: Any) -> Mapping[Order, ir.Value]:
        """Return the values of a variable by axis order, the one made first at the head."""
        if variable not in self._values:
            self._pending[variable]()
        return self._values[variable]

    def is_deferred(self, variable: Any) -> bool:
        """Return whether a variable is still to be made."""
        return variable not in self._values and variable in self._pending

    def readers(self, variable: Any) -> list[Any]:
        """Return the equations that read a variable, once a reading; None stands for an output."""
        return self._readers.get(variable, [])

    @contextmanager
    def nested(self, readers: Mapping[Any, list[Any]]) -> Iterator[None]:
        """Open a scope for inner variables, which have readers of their own, and forget it afterwards."""
        outer = self._values, self._pending, self._readers, self.notes
        self._values, self._pending = self._values.new_child(), self._pending.new_child()
        self._readers, self.notes = self._readers.new_child(dict(readers)), self.notes.new_child()
        try:
            yield
        finally:
            self._values, self._pending, self._readers, self.notes = outer
