"""Looks at the file: names, sizes, where the weights lie, what goes in and out."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final

from lwmport.targets.graphs import external
from lwmport.targets.graphs.record import MISFIT, Value, product
from lwmport.targets.rules.rule import Hit, Look, Subject
from lwmport.types import Dim

PROTO_LIMIT: Final = 2**31 - 1
"""Bytes of the largest protocol buffer; parsers refuse more."""

LONGEST_SHAPE: Final = 16
"""Axes of a shape that are shown."""

SHAPE_OPTION: Final = re.compile(r"[\s,:;\"'\\$`]")
"""Characters that mean something in ``--input_shape="name:1,3;other:1,77"``, or in a shell around it."""


def node_names(subject: Subject) -> Iterator[Hit]:
    """Yield names that two nodes have, each body and function apart; an input is a node too.

    A node without a name gets that of its operator and a number, which another node may have.
    """
    graph = subject.graph
    counts = Counter({("", value.name): 1 for value in graph.inputs})
    nameless = count()
    for node in sorted(graph.nodes, key=lambda node: bool(node.scope)):  # names are given to the main graph first
        counts[node.scope, node.name or f"{node.op}_{next(nameless)}"] += 1
    for (_, name), times in counts.items():
        if times > 1:
            yield Hit(where=name, found=f"{times} nodes or inputs of this name")


def option_names(subject: Subject) -> Iterator[Hit]:
    """Yield inputs and outputs whose names cannot be written in a shape option."""
    for value in (*subject.graph.inputs, *subject.graph.outputs):
        if not value.name or SHAPE_OPTION.search(value.name):
            yield Hit(where=value.name, found="a name with a separator, a quote or a space in it")


def too_large(subject: Subject) -> Iterator[Hit]:
    """Yield a hit if the model is beyond what a protocol buffer may hold."""
    if subject.graph.file_bytes >= PROTO_LIMIT:
        yield Hit(found=f"{subject.graph.file_bytes} bytes, where {PROTO_LIMIT} is the limit")


def external_kinds(*kinds: str) -> Look:
    """Return a look for faults of external data, one hit for each file that is wrong."""

    def look(subject: Subject) -> Iterator[Hit]:
        seen: Counter[str] = Counter(problem.found for problem in subject.graph.problems if problem.kind in kinds)
        for problem in subject.graph.problems:
            count = seen.pop(problem.found, 0) if problem.kind in kinds else 0
            if count:
                more = f", and {count - 1} tensors more" if count > 1 else ""
                yield Hit(where=problem.where, found=f"{problem.found}{more}")

    return look


ANY_EXTERNAL: Final = (external.OUTSIDE, external.MISSING, external.NESTED)


def scalars_outside(subject: Subject) -> Iterator[Hit]:
    """Yield constants without axes that are external."""
    for item in subject.graph.constants.values():
        if item.location and not item.shape:
            yield Hit(where=item.name, found="a constant without axes, external")


def order_of_keys(subject: Subject) -> Iterator[Hit]:
    """Yield external tensors whose entries do not begin with location and offset."""
    for item in subject.graph.constants.values():
        if item.keys and item.keys[:2] != ("location", "offset"):
            yield Hit(where=item.name, found=f"entries in the order {', '.join(item.keys)}")


def sparse_constants(subject: Subject) -> Iterator[Hit]:
    """Yield sparse constants."""
    return (Hit(where=item.name, found="a sparse constant") for item in subject.graph.constants.values() if item.sparse)


def ends(subject: Subject) -> Iterator[Hit]:
    """Yield a hit for a graph without inputs or outputs, and for each output with a size of zero."""
    graph = subject.graph
    for name, values in (("input", graph.inputs), ("output", graph.outputs)):
        if not values:
            yield Hit(found=f"a graph without an {name}")
    empty = (value for value in graph.outputs if 0 in (value.shape or ()))
    yield from (Hit(where=value.name, found=f"output {shown(value)}") for value in empty)


def broken(subject: Subject) -> Iterator[Hit]:
    """Yield operands that nothing before a node makes, values that two make, sizes below zero, and odd attributes."""
    graph = subject.graph
    for problem in graph.problems:
        if problem.kind == MISFIT:
            yield Hit(where=problem.where, operator=problem.operator, found=problem.found)
    yield from _twice(graph.inputs)
    constants = {name for node in graph.of("Constant") if not node.scope for name in node.outputs}
    made = {value.name for value in graph.inputs} | set(graph.constants) - constants
    for node in graph.nodes:
        if node.scope:
            continue
        for name in node.inputs:
            if name and name not in made:
                yield Hit(
                    where=node.name, operator=node.op, found=f"the operand {name!r}, which nothing before it makes"
                )
        for name in node.outputs:
            if name and name in made:
                yield Hit(where=node.name, operator=node.op, found=f"the result {name!r}, which there is already")
        made.update(node.outputs)
    yield from (
        Hit(where=value.name, found="an output that nothing makes") for value in graph.outputs if value.name not in made
    )
    yield from (
        Hit(where=item.name, found=f"a constant of the shape {axes(item.shape)}")
        for item in graph.constants.values()
        if any(size < 0 for size in item.shape)
    )


def _twice(inputs: Sequence[Value]) -> Iterator[Hit]:
    for name, times in Counter(value.name for value in inputs).items():
        if times > 1:
            yield Hit(where=name, found=f"{times} inputs of this name")


def memory_of_chip(subject: Subject) -> Iterator[Hit]:
    """Yield a hit if weights in half precision, inputs and outputs are more than the chip's memory."""
    memory = subject.chip.memory
    if memory is None:
        return
    half = 2 if subject.precision == "float16" else 4
    weights = sum(
        item.nbytes // 4 * half if item.dtype == "float32" else item.nbytes for item in subject.graph.constants.values()
    )
    ends_ = sum(_bytes(value, half) for value in (*subject.graph.inputs, *subject.graph.outputs))
    if weights + ends_ > memory:
        need, have = (weights + ends_) / 2**30, memory / 2**30
        yield Hit(found=f"{need:.1f} GiB of weights, inputs and outputs, where {subject.chip.name} has {have:.0f}")


def shown(value: Value) -> str:
    """Return dtype and shape of a value in words."""
    if value.shape is None:
        return f"{value.dtype or 'unknown'} of unknown shape"
    return f"{value.dtype or 'unknown'}{axes(value.shape)}"


def axes(shape: Sequence[Dim]) -> str:
    """Return a shape in brackets; of one that is longer than any model's, its beginning and how long it is."""
    sizes = [str(dim) for dim in shape[:LONGEST_SHAPE]]
    more = [f"... {len(shape)} axes"] if len(shape) > LONGEST_SHAPE else []
    return f"[{', '.join([*sizes, *more])}]"


def _bytes(value: Value, half: int) -> int:
    sizes = {"float32": half, "float16": 2, "bfloat16": 2, "int64": 8, "float64": 8, "bool": 1, "uint8": 1, "int8": 1}
    return product(dim for dim in value.shape or () if isinstance(dim, int)) * sizes.get(value.dtype, 4)
