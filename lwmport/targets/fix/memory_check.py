"""Whether the trials of a proof fit into memory, asked before anything is made for them."""

import math
from collections.abc import Container
from typing import Final

from lwmport import memory
from lwmport.errors import PortError
from lwmport.targets.graphs.record import Graph, Value
from lwmport.types import dtype_of

TRIALS: Final = 12
"""How many arrays of each input and of each output there are at a time: those of all trials, and copies in float64."""

VALUES: Final = 2
"""How many of the largest value within the model there are at a time: what a node reads and what it makes."""


def check_room(graph: Graph) -> None:
    """Return if what the trials of a model take, as far as its sizes are known, is free on this machine.

    Raises:
        PortError: it is not; nothing was made.
    """
    free = memory.free_bytes()
    ends = {value.name: nbytes(value) for value in (*graph.inputs, *graph.outputs)}
    within = _within(graph, ends)
    need = TRIALS * sum(ends.values()) + VALUES * max(within.values(), default=0)
    if free is None or need <= free:
        return
    sizes = {**within, **ends}
    name = max(sizes, key=sizes.__getitem__)
    raise PortError(
        f"expected a model whose numbers fit into memory to prove that they stay, found {name}"
        f"{list(graph.shape(name) or ())}: the trials take about {need:,} bytes where {free:,} are free; give smaller "
        f"sizes with --input-shape, or use a larger machine; nothing was written"
    )


def largest_within(graph: Graph) -> int:
    """Return the bytes of the largest value within a model, as far as sizes are known."""
    return max(_within(graph, ()).values(), default=0)


def _within(graph: Graph, ends: Container[str]) -> dict[str, int]:
    left_out = graph.constants
    return {name: nbytes(value) for name, value in graph.values.items() if name not in left_out and name not in ends}


def nbytes(value: Value) -> int:
    """Return the bytes of a value in float32 or what is wider, 0 where its size is not known."""
    if not value.static or value.shape is None:
        return 0
    try:
        width = dtype_of(value.dtype).itemsize
    except TypeError:
        width = 0
    return max(4, width) * math.prod(int(dim) for dim in value.shape)
