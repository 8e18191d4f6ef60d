"""What operators take at operands that are sizes, counts, steps, axes or indices.

Other numbers are refused there, fill the memory, or divide by zero.
"""

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Final, TypeAlias

import numpy as np

from lwmport.targets.graphs.record import Graph, Node
from lwmport.types import Array

Taken: TypeAlias = Callable[[Graph, Node, int, np.random.Generator], Sequence[float] | None]
"""Returns as many numbers as the operand has elements that its operator takes, None where nothing is known."""

SOME: Final = 2
"""A size where nothing says which."""

WINDOW: Final = 16
"""Samples of a window, and of a spectrum, where nothing says how many."""


def sizes_of(graph: Graph, name: str) -> list[int] | None:
    """Return the shape of a value, None where a size of it is not known."""
    shape = graph.shape(name)
    if shape is None or not all(isinstance(dim, int) and dim >= 0 for dim in shape):
        return None
    return [int(dim) for dim in shape]


def _result(graph: Graph, node: Node) -> list[int] | None:
    return sizes_of(graph, node.outputs[0]) if node.outputs else None


def _operand(graph: Graph, node: Node, place: int) -> list[int]:
    return sizes_of(graph, node.input(place)) or []


def _axis(node: Node, rank: int, usual: int) -> int:
    axis = node.attributes.get("axis", usual)
    return int(axis) % max(rank, 1) if isinstance(axis, int) else 0


def _numbers(graph: Graph, node: Node, place: int) -> list[int]:
    """Return the whole numbers of a constant operand; none where it is no constant."""
    found = graph.constant(node.input(place)) if node.input(place) else None
    return [] if found is None or found.dtype.kind not in "iu" else [int(one) for one in found.reshape(-1)]


def _fixed(*numbers: float) -> Taken:
    """Return what takes the same numbers in turn."""
    return lambda _graph, _node, count, _random: [numbers[place % len(numbers)] for place in range(count)]


def _between(low: float, high: float) -> Taken:
    return lambda _graph, _node, count, random: [float(one) for one in random.uniform(low, high, count)]


def _whole(low: int, high: int) -> Taken:
    return lambda _graph, _node, count, random: [int(one) for one in random.integers(low, high, count)]


def _result_sizes(graph: Graph, node: Node, count: int, _random: np.random.Generator) -> list[int]:
    """Return the sizes of the result, or those of the first operand in as many axes."""
    found = _result(graph, node)
    if found is not None and len(found) == count:
        return found
    data = _operand(graph, node, 0)
    return data if len(data) == count else [SOME] * count


def _reshape(graph: Graph, node: Node, count: int, random: np.random.Generator) -> list[int]:
    found, data = _result(graph, node), _operand(graph, node, 0)
    if (found is not None and len(found) == count) or len(data) == count:
        return _result_sizes(graph, node, count, random)
    return [-1, *[1] * (count - 1)][:count]


def _expand(graph: Graph, node: Node, count: int, _random: np.random.Generator) -> list[int]:
    found, data = _result(graph, node), _operand(graph, node, 0)
    if found is not None and len(found) == count:
        return found
    return [*[1] * (count - len(data)), *data][-count:] if count else []


def _factors(graph: Graph, node: Node) -> list[float]:
    """Return how often each axis of the first operand goes into the result; 1 where that is not known."""
    found, data = _result(graph, node), _operand(graph, node, 0)
    pairs = zip(found, data, strict=True) if found is not None and len(found) == len(data) else ()
    return [new / old if old else 1.0 for new, old in pairs] or [1.0] * len(data)


def _tile(graph: Graph, node: Node, count: int, _random: np.random.Generator) -> list[int]:
    return ([max(int(factor), 1) for factor in _factors(graph, node)] + [1] * count)[:count]


def _chosen(node: Node, values: list[float], count: int) -> list[float]:
    """Return the values of those axes that a node names, of all where it names none."""
    axes = node.attributes.get("axes")
    if isinstance(axes, tuple) and axes and values:
        values = [values[int(axis) % len(values)] for axis in axes]
    return (values + [1] * count)[:count]


def _scales(graph: Graph, node: Node, count: int, _random: np.random.Generator) -> list[float]:
    found = _result(graph, node)
    if found is None:
        return [1.0 if place < 2 else float(SOME) for place in range(count)]
    return _chosen(node, _factors(graph, node), count)


def _resized(graph: Graph, node: Node, count: int, _random: np.random.Generator) -> list[float]:
    return _chosen(node, list(map(float, _result(graph, node) or _operand(graph, node, 0))), count)


def _slice_ends(graph: Graph, node: Node, count: int, _random: np.random.Generator) -> list[int]:
    """Return ends that give the result its sizes, from starts at 0; all of an axis where that is not known."""
    data, found = _operand(graph, node, 0), _result(graph, node)
    axes = _numbers(graph, node, 3) or list(range(count))
    starts = _numbers(graph, node, 1) or [0] * count
    sizes = found or data
    if not sizes:
        return [SOME] * count
    return [
        max(start, 0) + sizes[axis % len(sizes)] if found else sizes[axis % len(sizes)]
        for axis, start in zip((axes * count)[:count], (starts * count)[:count], strict=True)
    ]


def _axes(graph: Graph, node: Node, count: int, _random: np.random.Generator) -> list[int]:
    rank = max(len(_operand(graph, node, 0)), count)
    return [place % max(rank, 1) for place in range(count)]


def _one_axis(graph: Graph, node: Node, count: int, random: np.random.Generator) -> list[int]:
    rank = len(_operand(graph, node, 0))
    return [int(one) for one in random.integers(0, max(rank, 1), count)]


def _squeezed(graph: Graph, node: Node, count: int, _random: np.random.Generator) -> list[int]:
    ones = [axis for axis, size in enumerate(_operand(graph, node, 0)) if size == 1]
    return ones[:count] if len(ones) >= count else list(range(count))


def _unsqueezed(graph: Graph, node: Node, count: int, _random: np.random.Generator) -> list[int]:
    found, data = _result(graph, node), _operand(graph, node, 0)
    if found is not None and len(found) == len(data) + count and len(found) <= 8:
        for axes in combinations(range(len(found)), count):
            if [size for axis, size in enumerate(found) if axis not in axes] == data:
                return list(axes)
    return list(range(count))


def _pads(graph: Graph, node: Node, count: int, random: np.random.Generator) -> list[int]:
    found, data = _result(graph, node), _operand(graph, node, 0)
    if found is not None and len(found) == len(data) == count // 2:
        return [0] * (count // 2) + [new - old for new, old in zip(found, data, strict=True)]
    return [int(one) for one in random.integers(0, 2, count)]


def _size_at(usual: int, other: int) -> Taken:
    """Return what takes the size of the result at the node's axis."""

    def taken(graph: Graph, node: Node, count: int, _random: np.random.Generator) -> list[int]:
        found = _result(graph, node)
        return [found[_axis(node, len(found), usual)] if found else other] * count

    return taken


def _length(graph: Graph, node: Node, count: int, _random: np.random.Generator) -> list[int]:
    found = _result(graph, node)
    return [found[0] if found else WINDOW] * count


def _range(place: int) -> Taken:
    def taken(graph: Graph, node: Node, count: int, random: np.random.Generator) -> list[float]:
        return [(0, _length(graph, node, 1, random)[0] if _result(graph, node) else 6, 1)[place]] * count

    return taken


def _parts(graph: Graph, node: Node, count: int, _random: np.random.Generator) -> list[int]:
    shapes = [sizes_of(graph, name) for name in node.outputs]
    whole = _operand(graph, node, 0)
    axis = _axis(node, len(whole), 0)
    if len(shapes) == count and all(shape for shape in shapes):
        return [shape[axis] for shape in shapes if shape]
    total = whole[axis] if whole else count
    return [total // count + (1 if place < total % count else 0) for place in range(count)] if count else []


def _frame(place: int) -> Taken:
    """Return what takes the step (1) or the length (3) of a frame: those that give as many frames as the result has."""

    def taken(graph: Graph, node: Node, count: int, _random: np.random.Generator) -> list[int]:
        signal, window, found = (
            (_operand(graph, node, 0) or [1, WINDOW]),
            _operand(graph, node, 2),
            _result(graph, node),
        )
        known = _numbers(graph, node, 3)
        length = window[0] if window else known[0] if known else max(signal[1] // 2, 1)
        frames = found[1] if found is not None and len(found) > 1 else 0
        step = max((signal[1] - length) // (frames - 1), 1) if frames > 1 else max(length // 2, 1)
        return [step if place == 1 else length] * count

    return taken


def _mel(place: int) -> Taken:
    def taken(graph: Graph, node: Node, count: int, _random: np.random.Generator) -> list[float]:
        found = _result(graph, node) or [WINDOW // 2 + 1, 4]
        numbers = (found[-1], 2 * (found[0] - 1), 8192, 0.0, 4096.0)
        return [numbers[place]] * count

    return taken


def _image(graph: Graph, node: Node, count: int, _random: np.random.Generator) -> list[int]:
    found, data = _result(graph, node), _operand(graph, node, 0)
    if found is not None and len(found) >= count:
        return found[len(found) - count :]
    return ([1] * count + [data[-1] if data else SOME])[-count:] if count else []


def _block(graph: Graph, node: Node, count: int, _random: np.random.Generator) -> list[int]:
    found, data = _result(graph, node), _operand(graph, node, 0)
    size = data[1] // found[1] if found and len(data) > 1 and len(found) > 1 and found[1] else 1
    return [*[1] * (count - 1), size][:count] if count else []


def _grid(graph: Graph, node: Node, count: int, _random: np.random.Generator) -> list[int]:
    theta, found = _operand(graph, node, 0), _result(graph, node)
    sizes = found[1:-1] if found is not None and len(found) == count else [SOME + 2] * (count - 2)
    return [theta[0] if theta else 1, SOME, *sizes][:count]


def _unpooled(graph: Graph, node: Node, count: int, _random: np.random.Generator) -> list[int]:
    found, data = _result(graph, node), _operand(graph, node, 0)
    return found if found is not None and len(found) == count else [size * 2 for size in data][:count]


def _below(limit: Callable[[Graph, Node], int], low: int = 0) -> Taken:
    """Return what takes numbers from ``low`` to below a limit."""

    def taken(graph: Graph, node: Node, count: int, random: np.random.Generator) -> list[int] | None:
        most = limit(graph, node)
        return [int(one) for one in random.integers(low, max(most, low + 1), count)] if most else None

    return taken


def _at(place: int, axis: int) -> Callable[[Graph, Node], int]:
    """Return what gives the size of an operand at an axis, 0 where it is not known."""

    def size(graph: Graph, node: Node) -> int:
        shape = graph.shape(node.input(place)) or ()
        dim = shape[axis] if -len(shape) <= axis < len(shape) else 0
        return dim if isinstance(dim, int) else 0

    return size


def _along(usual: int) -> Callable[[Graph, Node], int]:
    """Return what gives the size of the first operand at the node's axis."""
    return lambda graph, node: _at(0, _axis(node, len(graph.shape(node.input(0)) or ()), usual))(graph, node)


def _least(graph: Graph, node: Node) -> int:
    """Return the smallest size of the first operand."""
    return min((dim for dim in graph.shape(node.input(0)) or () if isinstance(dim, int)), default=0)


_POSITIVE: Final = _between(0.01, 0.1)
_ONES: Final = _fixed(1)
_REDUCED: Final = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")

SIZES: Final[dict[tuple[str, int], Taken]] = {
    ("AffineGrid", 1): _grid,
    ("BlackmanWindow", 0): _length,
    ("CenterCropPad", 1): _result_sizes,
    ("Col2Im", 1): _image,
    ("Col2Im", 2): _block,
    ("ConstantOfShape", 0): _result_sizes,
    ("CumProd", 1): _one_axis,
    ("CumSum", 1): _one_axis,
    ("DFT", 1): _size_at(1, WINDOW),
    ("DFT", 2): _fixed(1),
    ("Expand", 1): _expand,
    ("HammingWindow", 0): _length,
    ("HannWindow", 0): _length,
    ("Loop", 0): _fixed(3),
    ("MaxUnpool", 2): _unpooled,
    **{("MelWeightMatrix", place): _mel(place) for place in range(5)},
    ("NonMaxSuppression", 2): _fixed(3),
    ("OneHot", 1): _size_at(-1, 4),
    ("Pad", 1): _pads,
    ("Pad", 3): _axes,
    **{("Range", place): _range(place) for place in range(3)},
    **{(f"Reduce{name}", 1): _axes for name in _REDUCED},
    ("Reshape", 1): _reshape,
    ("Resize", 2): _scales,
    ("Resize", 3): _resized,
    ("STFT", 1): _frame(1),
    ("STFT", 3): _frame(3),
    ("SequenceAt", 1): _fixed(0),
    ("SequenceErase", 1): _fixed(0),
    ("SequenceInsert", 2): _fixed(0),
    ("Slice", 1): _fixed(0),
    ("Slice", 2): _slice_ends,
    ("Slice", 3): _axes,
    ("Slice", 4): _ONES,
    ("Split", 1): _parts,
    ("SplitToSequence", 1): _parts,
    ("Squeeze", 1): _squeezed,
    ("Tile", 1): _tile,
    ("TopK", 1): _size_at(-1, 1),
    ("Trilu", 1): _whole(-1, 2),
    ("Unsqueeze", 1): _unsqueezed,
    ("Upsample", 1): _scales,
}
"""(operator, operand) -> what it takes of sizes, counts, steps and axes: a large one could fill the memory."""

OTHERS: Final[dict[tuple[str, int], Taken]] = {
    ("Acosh", 0): _between(1.0, 4.0),
    ("ArrayFeatureExtractor", 1): _below(_at(0, -1)),
    ("Attention", 6): _below(_at(1, -2), 1),
    ("BatchNormalization", 4): _between(0.5, 1.5),
    ("BitShift", 1): _whole(0, 4),
    ("DequantizeLinear", 1): _POSITIVE,
    ("Dropout", 1): _fixed(0.5),
    ("Dropout", 2): _fixed(0),  # in training what comes out is random
    ("GRU", 4): _below(_at(0, 0), 1),
    ("GatherElements", 1): _below(_along(0)),
    ("LSTM", 4): _below(_at(0, 0), 1),
    ("MaxUnpool", 1): lambda graph, node, count, _random: list(range(math.prod(_operand(graph, node, 0)) or count))[
        :count
    ],
    ("NegativeLogLikelihoodLoss", 1): _below(_at(0, 1)),
    ("QLinearConv", 1): _POSITIVE,
    ("QLinearConv", 4): _POSITIVE,
    ("QLinearConv", 6): _POSITIVE,
    ("QLinearMatMul", 1): _POSITIVE,
    ("QLinearMatMul", 4): _POSITIVE,
    ("QLinearMatMul", 6): _POSITIVE,
    ("QuantizeLinear", 1): _POSITIVE,
    ("RNN", 4): _below(_at(0, 0), 1),
    ("ReverseSequence", 1): _below(
        lambda graph, node: _at(0, int(node.attributes.get("time_axis", 0)))(graph, node), 1
    ),
    ("RoiAlign", 2): _below(_at(0, 0)),
    ("RotaryEmbedding", 3): _below(_at(1, 0)),
    ("Scatter", 1): _below(_along(0)),
    ("ScatterElements", 1): _below(_along(0)),
    ("ScatterND", 1): _below(_least),
    ("SoftmaxCrossEntropyLoss", 1): _below(_at(0, 1)),
    ("TensorScatter", 2): _fixed(0),
}
"""The same for indices, and for numbers that have to be positive or off."""

DIVISORS: Final = (("Div", 1), ("Mod", 1))
"""Operands of integers that must not be 0."""


def taken_by(graph: Graph, node: Node, place: int, count: int, random: np.random.Generator) -> Array | None:
    """Return numbers that an operator takes at an operand of so many elements, None where any will do."""
    key = node.op, place
    found = SIZES.get(key) or OTHERS.get(key)
    if found is None and key in DIVISORS and graph.dtype(node.input(place)).startswith(("int", "uint")):
        found = _whole(1, 5)
    if found is None:
        return None
    numbers = found(graph, node, count, random)
    return None if numbers is None or len(numbers) != count else np.asarray(numbers, np.float64)
