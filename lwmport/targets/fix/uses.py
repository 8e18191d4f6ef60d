"""Where the numbers of an input go: through what moves, casts and counts them, to the operators that use them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from lwmport.targets.graphs.record import Graph, Node
from lwmport.types import Array

MOST: Final = 1 << 16
"""Elements of an input whose ways are followed one by one; a larger one holds no sizes."""

STEPS: Final = 2000
"""Nodes that are followed."""

SAME: Final = ("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")
"""Operators whose result has the elements of the first operand in their order."""

COMPARING: Final = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
"""Operators that hold two values against each other."""

KEYS: Final = ("keys_int64s", "keys_floats", "cats_int64s", "classlabels_int64s")
"""Attributes of tables: the numbers that they know."""

NAMED: Final = 8
"""Values that are tried of an input."""


@dataclass(frozen=True, kw_only=True)
class Use:
    """A node that reads numbers of an input at one of its operands.

    ``places`` are the elements of the input, flat, in the order of the operand's, -1 for those that come from
    elsewhere. The operand is the input times ``factor`` plus ``shift``.
    """

    node: Node
    place: int
    places: Array
    factor: float = 1.0
    shift: float = 0.0

    def back(self, wanted: Array) -> Array:
        """Return what the input has to be where the operand is to be ``wanted``."""
        found: Array = (wanted - self.shift) / self.factor
        return found


def uses(name: str, size: int, graph: Graph) -> Iterator[Use]:
    """Yield the uses of an input of so many elements."""
    first = Use(node=Node(name="", op="", domain="", inputs=(), outputs=(name,)), place=0, places=np.arange(size))
    waiting = [(name, first)] if size <= MOST else []
    seen = {name}
    steps = 0
    while waiting and steps < STEPS:
        current, use = waiting.pop()
        for node in graph.readers.get(current, ()):
            steps += 1
            for place in (place for place, other in enumerate(node.inputs) if other == current):
                here = replace(use, node=node, place=place)
                yield here
                moved = _moved(here, graph)
                made = node.outputs[0] if moved is not None and node.outputs else ""
                if moved is not None and made and made not in seen:
                    seen.add(made)
                    waiting.append((made, moved))


def _moved(use: Use, graph: Graph) -> Use | None:
    """Return the way to the first result of a node, None where it makes other numbers."""
    node = use.node
    if node.op in SAME:
        return use if use.place == 0 else None
    if node.op in {"Gather", "Slice"} and use.place == 0:
        return _picked(use, graph)
    if node.op == "Concat":
        return _joined(use, graph)
    if node.op in {"Add", "Mul", "Sub"} and len(node.inputs) == 2:
        return _counted(use, graph)
    return None


def _picked(use: Use, graph: Graph) -> Use | None:
    """Return the way through a Gather or a Slice of a vector by constants."""
    if len(graph.shape(use.node.input(0)) or (0, 0)) != 1:
        return None
    picks = [graph.constant(name) for name in use.node.inputs[1:]]
    if not picks or any(pick is None for pick in picks) or any(pick.size == 0 for pick in picks if pick is not None):
        return None
    numbers = [pick.reshape(-1).astype(np.int64) for pick in picks if pick is not None]
    if use.node.op == "Gather":
        inside = np.abs(numbers[0]) < len(use.places)
        return replace(use, places=use.places[numbers[0]]) if inside.all() else None
    step = int(numbers[3][0]) if len(numbers) > 3 else 1
    if len(numbers) < 2 or not step:
        return None
    return replace(use, places=use.places[int(numbers[0][0]) : int(numbers[1][0]) : step])


def _joined(use: Use, graph: Graph) -> Use | None:
    """Return the way through a Concat of vectors."""
    sizes = [graph.shape(name) for name in use.node.inputs]
    counts = [size[0] for size in sizes if size is not None and len(size) == 1 and isinstance(size[0], int)]
    if len(counts) != len(sizes) or sum(counts) > MOST or counts[use.place] != len(use.places):
        return None
    places = np.full(sum(counts), -1)
    start = sum(counts[: use.place])
    places[start : start + counts[use.place]] = use.places
    return replace(use, places=places)


def _counted(use: Use, graph: Graph) -> Use | None:
    """Return the way through a sum, a difference or a product with one constant number."""
    other = graph.constant(use.node.input(1 - use.place))
    if other is None or other.size != 1 or other.dtype.kind not in "iuf":
        return None
    number = float(other.reshape(-1)[0])
    if not np.isfinite(number):
        return None
    if use.node.op == "Mul":
        return replace(use, factor=use.factor * number, shift=use.shift * number) if number else None
    if use.node.op == "Add":
        return replace(use, shift=use.shift + number)
    if use.place == 0:
        return replace(use, shift=use.shift - number)
    return replace(use, factor=-use.factor, shift=number - use.shift)


def named_values(name: str, size: int, graph: Graph) -> Array:
    """Return the values of an input that comparisons and tables name, for an order those beside: at most `NAMED`."""
    found: list[Array] = []
    for use in uses(name, size, graph):
        if use.node.op in COMPARING and len(use.node.inputs) == 2:
            other = graph.constant(use.node.input(1 - use.place))
            if other is not None and other.dtype.kind in "iufb":
                beside = (0,) if use.node.op == "Equal" else (-1, 0, 1)
                found += [use.back(_some(other.astype(np.float64)) + step) for step in beside]
        for key in KEYS:
            table = use.node.attributes.get(key)
            if isinstance(table, tuple) and table:
                found.append(use.back(_some(np.asarray(table, np.float64))))
    values = np.unique(np.concatenate(found)) if found else np.zeros(0)
    return _some(values[np.isfinite(values)])


def _some(values: Array) -> Array:
    """Return values, or `NAMED` of them from the first to the last where there are more."""
    flat: Array = np.unique(values.reshape(-1))
    if flat.size > NAMED:
        flat = flat[np.linspace(0, flat.size - 1, NAMED).round().astype(int)]
    return flat
