"""Inputs on which two models are held against each other: of ordinary and of extraordinary size, and masked ones."""

import math
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from lwmport.errors import UsageError
from lwmport.onnx_dtypes import BITS
from lwmport.targets.fix.operands import DIVISORS, OTHERS, SIZES, taken_by
from lwmport.targets.fix.uses import named_values, uses
from lwmport.targets.graphs.record import Graph, Value
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

PLACES: Final = frozenset((*SIZES, *OTHERS))
"""(operator, operand) that takes numbers of its own kind alone: a large one could fill the memory."""

LEAST_TRIALS: Final = 2
"""Usual inputs that every model is tried on."""

FEW: Final = 64
"""Floats of the largest input among which values are put that comparisons name; a larger one holds no settings."""

OFTEN: Final = 0.25
"""The share of such values in an input of several numbers."""

Feed: TypeAlias = dict[str, Array]


def usual_trials(values: Sequence[Value], graph: Graph) -> list[Feed]:
    """Return inputs of ordinary size: floats in [-1, 1), flags, and what operators take and comparisons name."""
    return [{value.name: sample(value, graph, seed) for value in values} for seed in seeds_of(values, graph)]


def wide_trials(values: Sequence[Value], graph: Graph) -> list[Feed]:
    """Return inputs of extraordinary size: floats scaled, then integers that no table is read at and no shape made of.

    A kind of trial for which the graph has no input is left out.
    """
    usual = {value.name: sample(value, graph, WIDE) for value in values}
    floats = {
        name: np.asarray(array * array.dtype.type(LARGE))
        for name, array in usual.items()
        if is_float(array) and not _is_counted(name, array.size, graph)
    }
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
    if not _may_mask(array, value.name, graph):
        return array
    shown = np.sort(array, axis=-1)[..., ::-1].copy()
    shown[..., 0] = 1
    return shown


def holed(value: Value, graph: Graph, seed: int, kind: str) -> Array:
    """Return a usual input; of what may be a mask, one of an odd kind.

    ``first``: the first entries are 0; ``rows``: so are every second row and the last; ``shown rows``: those are 1;
    ``all``: everything is 0.
    """
    array = sample(value, graph, seed)
    if is_float(array) or not _may_mask(array, value.name, graph):
        return array
    if kind == "first":
        found = np.sort(array, axis=-1)
        found[..., -1] = 1
        return np.asarray(found)
    found = array.copy() if kind != "all" else np.zeros_like(array)
    rows = found.reshape(-1, found.shape[-1])
    rows[1::2] = rows[-1] = 1 if kind == "shown rows" else 0
    return np.asarray(rows.reshape(found.shape))


def _may_mask(array: Array, name: str, graph: Graph) -> bool:
    return bool(array.ndim and array.size and array.max() <= 1 and is_free(name, graph))


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
    usual: Array
    if element.kind == "b":
        usual = random.integers(0, 2, shape)
    elif seed == DRAWN and layout_of_picture(shape, value.dtype):
        sizes = dict(zip(layout_of_picture(shape, value.dtype), shape, strict=True))
        picture = drawn(sizes["N"], (sizes["H"], sizes["W"]), sizes["C"], seed)
        return scaled(picture, as_picture(TensorSpec(name=value.name, shape=shape, dtype=value.dtype)))
    elif value.dtype.startswith(("int", "uint")):
        usual = random.integers(0, _entries(value.name, graph), shape)
    else:
        usual = random.uniform(-1, 1, shape)
    return _fitted(_settled(value.name, usual, graph, seed, random), usual, element)


def fit(name: str, array: Array, graph: Graph) -> Array:
    """Return an input with the numbers in place that its operators take, or that comparisons and tables name."""
    if array.dtype.kind in "bOSU":
        return array
    return _fitted(_settled(name, array, graph, 0, np.random.default_rng([0, *name.encode()])), array, array.dtype)


def _settled(name: str, usual: Array, graph: Graph, seed: int, random: np.random.Generator) -> Array:
    """Return usual numbers with those in their place that the operators take, or that comparisons and tables name."""
    found = usual.astype(np.float64).reshape(-1)
    settled = np.zeros(found.size, bool)
    for use in uses(name, found.size, graph):
        wanted = taken_by(graph, use.node, use.place, len(use.places), random)
        if wanted is not None:
            free = (use.places >= 0) & ~settled[use.places]
            found[use.places[free]] = use.back(wanted)[free]
            settled[use.places[free]] = True
    named = named_values(name, found.size, graph)
    if named.size and not (usual.dtype.kind == "f" and found.size > FEW):
        if found.size == 1:
            tried = [*named, found[0]]
            found = found if settled.all() else np.asarray([tried[seed % len(tried)]])
        else:
            chosen = ~settled & (random.random(found.size) < OFTEN)
            found[chosen] = random.choice(named, int(chosen.sum()))
    return found.reshape(usual.shape)


def _fitted(found: Array, usual: Array, element: np.dtype[Any]) -> Array:
    """Return numbers in a dtype; integers that it does not hold are the usual ones."""
    if usual.dtype.kind == "f" or element.kind == "b":
        return found.astype(element)
    whole = np.round(found)
    fits = np.isfinite(whole) & (whole >= _least(element)) & (whole <= _most(element))
    return np.where(fits, whole, usual).astype(np.int64).astype(element)


def _bits(element: np.dtype[Any]) -> int:
    return BITS.get(element.name, 8 * element.itemsize)


def _least(element: np.dtype[Any]) -> int:
    return int(-(2 ** min(_bits(element) - 1, 62))) if element.name.startswith("int") else 0


def _most(element: np.dtype[Any]) -> int:
    return int(2 ** min(_bits(element) - element.name.startswith("int"), 62)) - 1


def seeds_of(values: Sequence[Value], graph: Graph) -> range:
    """Return the seeds of usual inputs: as many as it takes to try each value that a comparison or a table names."""
    ones = [value.name for value in values if value.static and math.prod(map(int, value.shape or ())) == 1]
    return range(max([LEAST_TRIALS, *(len(named_values(name, 1, graph)) + 1 for name in ones)]))


def _is_counted(name: str, size: int, graph: Graph) -> bool:
    """Return whether an operator takes numbers of its own kind alone at an input: a size, a scale."""
    return any((use.node.op, use.place) in PLACES for use in uses(name, size, graph))


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
            places = {place for place, other in enumerate(node.inputs) if other == current}
            indices = node.op.startswith("Gather") and 1 in places
            if indices or any((node.op, place) in {*PLACES, *DIVISORS} for place in places):
                return False
            new = {made for made in node.outputs if made not in seen and not graph.dtype(made).startswith("float")}
            seen |= new if node.op not in {"Shape", "Size"} else set()
            waiting += new if node.op not in {"Shape", "Size"} else ()
    return True
