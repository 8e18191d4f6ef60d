"""Inputs on which two models are held against each other: of ordinary and of extraordinary size, and masked ones."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np

from lwmport.errors import UsageError
from lwmport.targets.graphs.record import Graph, Value
from lwmport.targets.rules.shapes import SHAPE_OPERANDS
from lwmport.types import Array, TensorSpec, dtype_of
from lwmport.validators.drawn import as_picture, drawn, layout_of_picture
from lwmport.validators.pictures import scaled
from lwmport.validators.relative import is_float

DRAWN: Final = 0
"""The seed of the inputs among which pictures are drawn."""

WIDE: Final = 2
"""The seed of the inputs of extraordinary size."""

LARGE: Final = 1e3
"""By how much floats are scaled in a trial of their own: bounds and sums that small inputs never reach show there."""

MOST: Final = 1 << 15
"""Below it lie the integers of a trial of their own: products of two of them still are in int32."""

PASSING: Final = ("Cast", "Clip", "Expand", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""Operators through which an input of indices stays one."""

COUNTING: Final = {**SHAPE_OPERANDS, "Loop": (0,), "Resize": (2, 3)}
"""Operator -> its operands that say how much there is to compute: a large one could fill the memory."""

Feed: TypeAlias = dict[str, Array]


def wide_trials(values: Sequence[Value], graph: Graph) -> list[Feed]:
    """Return inputs of extraordinary size: floats scaled, then integers that no table is read at and no shape made of.

    A kind of trial for which the graph has no input is left out.
    """
    usual = {value.name: sample(value, graph, WIDE) for value in values}
    floats = {name: array * array.dtype.type(LARGE) for name, array in usual.items() if is_float(array)}
    free = [value.name for value in values if usual[value.name].dtype.kind in "iu" and is_free(value.name, graph)]
    integers = {name: _large(usual[name], name) for name in free}
    return [{**usual, **changed} for changed in (floats, integers) if changed]


def _large(array: Array, name: str) -> Array:
    random = np.random.default_rng([WIDE, *name.encode()])
    return random.integers(0, min(MOST, int(np.iinfo(array.dtype).max)), array.shape).astype(array.dtype)


def masked_trials(values: Sequence[Value], graph: Graph, seeds: Sequence[int], scale: float) -> list[Feed]:
    """Return an input for each seed: floats scaled, and what may be a mask hiding a random number of the last entries.

    What may be a mask is an input of flags, or of integers that are 0 or 1. The first entry is always shown: a row that
    is masked whole means nothing.
    """
    return [{value.name: _masked(value, graph, seed, scale) for value in values} for seed in seeds]


def _masked(value: Value, graph: Graph, seed: int, scale: float) -> Array:
    array = sample(value, graph, seed)
    if is_float(array):
        return np.asarray(array * array.dtype.type(scale))
    if not array.ndim or not array.size or array.max() > 1 or not is_free(value.name, graph):
        return array
    shown = np.sort(array, axis=-1)[..., ::-1].copy()
    shown[..., 0] = 1
    return shown


def after_shapes(before: Graph, after: Graph) -> list[Value]:
    """Return the inputs of the first graph with the sizes of the second, which may be fewer dynamic ones."""
    return [
        Value(name=old.name, shape=new.shape, dtype=old.dtype)
        for old, new in zip(before.inputs, after.inputs, strict=True)
    ]


def sample(value: Value, graph: Graph, seed: int) -> Array:
    """Return a random input: floats in [-1, 1), indices that the table they look into has, flags.

    With the seed `DRAWN`, what looks like a picture is a drawing: on noise a detector finds nothing.

    Raises:
        UsageError: a size is not known, or the elements are no numbers.
    """
    if value.dtype in {"", "string"}:
        kind = value.dtype or "no dtype"
        raise UsageError(f"expected inputs of numbers to prove that the numbers stay, found {value.name} of {kind}")
    if not value.static or value.shape is None:
        raise UsageError(
            f"expected the size of every input to prove that the numbers stay, found {value.name}"
            f'{list(value.shape or ())}; give it: --input-shape "{value.name}:1,..."'
        )
    random = np.random.default_rng([seed, *value.name.encode()])
    shape = tuple(int(dim) for dim in value.shape if isinstance(dim, int))
    element = dtype_of(value.dtype)
    if element.kind == "b":
        return random.integers(0, 2, shape).astype(element)
    layout = layout_of_picture(shape, value.dtype) if seed == DRAWN else ""
    if layout:
        sizes = dict(zip(layout, shape, strict=True))
        picture = drawn(sizes["N"], (sizes["H"], sizes["W"]), sizes["C"], seed)
        return scaled(picture, as_picture(TensorSpec(name=value.name, shape=shape, dtype=value.dtype)))
    if element.kind in "iu":
        return random.integers(0, _entries(value.name, graph), shape).astype(element)
    return random.uniform(-1, 1, shape).astype(element)


def _entries(name: str, graph: Graph) -> int:
    """Return how many entries the smallest table has that an input looks into, 2 if it looks into none."""
    waiting, seen, found = [name], set(), []
    while waiting:
        current = waiting.pop()
        for node in graph.readers.get(current, ()):
            if node.op == "Gather" and node.input(1) == current:
                shape = graph.shape(node.input(0)) or ()
                axis = int(node.attributes.get("axis", 0))
                found += [size for size in shape[axis : axis + 1 or None] if isinstance(size, int)]
            elif node.op == "GatherND" and node.input(1) == current:
                found += [size for size in graph.shape(node.input(0)) or () if isinstance(size, int)]
            elif node.op in PASSING and node.input(0) == current and node.outputs[0] not in seen:
                seen.add(node.outputs[0])
                waiting.append(node.outputs[0])
    return max(min(found, default=2), 1)


def is_free(name: str, graph: Graph) -> bool:
    """Return whether an input, as far as integers are followed, is no index into a table, size or number of rounds."""
    waiting, seen = [name], {name}
    while waiting:
        current = waiting.pop()
        for node in graph.readers.get(current, ()):
            places = COUNTING.get(node.op, ()) + ((1,) if node.op.startswith("Gather") else ())
            if any(node.input(place) == current for place in places):
                return False
            new = {made for made in node.outputs if made not in seen and not graph.dtype(made).startswith("float")}
            seen |= new if node.op not in {"Shape", "Size"} else set()
            waiting += new if node.op not in {"Shape", "Size"} else ()
    return True
