"""What a node of a model file costs, by the shapes that the file says or that follow.

A multiplication and an addition are two operations, any other function of a number is one, and moving numbers is none.
Sources: the definitions of the operators in onnx/docs/Operators.md and tensorflow/lite/schema/schema.fbs.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from math import prod
from typing import Final, TypeAlias

from lwmport.pipeline.compare.kinds import ATTENTION, CONTRACTION, CONTROL, MAIN, MOVEMENT, REDUCTION, kind_of
from lwmport.pipeline.compare.sizes import number_of
from lwmport.pipeline.compare.structure import Cost
from lwmport.targets.graphs.record import Graph, Node, bytes_of

Shape: TypeAlias = tuple[int, ...] | None
Formula: TypeAlias = Callable[[Node, list[Shape], list[Shape]], int]

PICKED: Final = frozenset({"EMBEDDING_LOOKUP", "GATHER", "Gather", "GatherV2", "ResourceGather", "SLICE", "Slice"})
"""Operators that read as much of their first operand as they make."""


class Costs:
    """The costs of the nodes of a graph; dynamic sizes are the numbers given."""

    def __init__(self, graph: Graph, vocabulary: str, sizes: Mapping[str, int]) -> None:
        self._graph = graph
        self._vocabulary = vocabulary
        self._sizes = sizes
        self._functions: dict[str, Counter[str]] = {}
        names = {f"{domain}.{name}" for domain, name in graph.functions}
        for node in graph.nodes:
            if node.scope in names:
                kinds = self._functions.setdefault(node.scope, Counter())
                kinds[kind_of(vocabulary, node.op)] += 1

    def of(self, node: Node) -> Cost:
        """Return what a node costs; its operations are None where a shape is not known."""
        inputs, outputs = [self._shape(name) for name in node.inputs], [self._shape(name) for name in node.outputs]
        inside = self._functions.get(f"{node.domain}.{node.op}")
        kind = kind_of(self._vocabulary, node.op)
        kinds = inside or Counter({kind: 1})
        try:
            flop = _function_flop(inside, outputs) if inside else _flop(kind, node, inputs, outputs)
        except (IndexError, TypeError, ZeroDivisionError):
            flop = None
        if kind == ATTENTION:
            kinds = Counter({ATTENTION: 1, CONTRACTION: 2})  # queries by keys, and their weights by values
        main = flop if flop is not None and kind in (*MAIN, ATTENTION) else 0
        return Cost(kinds=kinds, flop=flop, main=main, bytes=self._bytes(node, inputs, outputs))

    def _shape(self, name: str) -> Shape:
        found = self._graph.shape(name) if name else None
        if found is None:
            return None
        numbers = [number_of(dim, self._sizes) for dim in found]
        return None if None in numbers else tuple(number for number in numbers if number is not None)

    def _bytes(self, node: Node, inputs: list[Shape], outputs: list[Shape]) -> int:
        if node.op in PICKED:
            inputs = [outputs[0] if outputs else None, *inputs[1:]]
        pairs = [*zip(node.inputs, inputs, strict=False), *zip(node.outputs, outputs, strict=False)]
        return sum(bytes_of(shape, self._graph.dtype(name)) for name, shape in pairs if shape is not None)


def _function_flop(kinds: Counter[str], outputs: list[Shape]) -> int:
    """Return the operations of a function of the model: each operator in it, on as many numbers as it makes."""
    return sum(count for kind, count in kinds.items() if kind not in (MOVEMENT, CONTROL)) * _elements(outputs[0])


def _flop(kind: str, node: Node, inputs: list[Shape], outputs: list[Shape]) -> int:
    """Return the operations of a node.

    Raises:
        IndexError, TypeError: a shape that it takes is not known.
    """
    if kind in (MOVEMENT, CONTROL):
        return 0
    if node.op in FORMULAS:
        return FORMULAS[node.op](node, inputs, outputs)
    if kind in (*MAIN, ATTENTION):
        raise TypeError
    return _elements(inputs[0]) if kind == REDUCTION else sum(_elements(shape) for shape in outputs)


def _elements(shape: Shape) -> int:
    if shape is None:
        raise TypeError
    return prod(shape)


def _sizes(shape: Shape) -> tuple[int, ...]:
    if shape is None:
        raise TypeError
    return shape


def _matmul(_node: Node, inputs: list[Shape], outputs: list[Shape]) -> int:
    return 2 * _elements(outputs[0]) * _sizes(inputs[0])[-1]


def _gemm(node: Node, inputs: list[Shape], outputs: list[Shape]) -> int:
    return 2 * _elements(outputs[0]) * _sizes(inputs[0])[0 if node.attributes.get("transA") else 1]


def _fully_connected(_node: Node, inputs: list[Shape], outputs: list[Shape]) -> int:
    return 2 * _elements(outputs[0]) * _sizes(inputs[1])[-1]


def _tf_matmul(node: Node, inputs: list[Shape], outputs: list[Shape]) -> int:
    transposed = node.attributes.get("transpose_a") or node.attributes.get("adj_x")
    return 2 * _elements(outputs[0]) * _sizes(inputs[0])[-2 if transposed else -1]


def _einsum(node: Node, inputs: list[Shape], _outputs: list[Shape]) -> int:
    """Return two operations for each combination of the indices of an einsum of two operands."""
    terms = str(node.attributes["equation"]).replace(" ", "").partition("->")[0].split(",")
    if len(terms) != 2 or "..." in "".join(terms):
        raise TypeError
    found = {letter: size for term, shape in zip(terms, inputs, strict=True)
             for letter, size in zip(term, _sizes(shape), strict=True)}  # fmt: skip
    return 2 * prod(found.values())


def _first_axis_out(_node: Node, inputs: list[Shape], outputs: list[Shape]) -> int:
    """Return the operations of a convolution whose kernel has the outputs on its first axis."""
    return 2 * _elements(outputs[0]) * prod(_sizes(inputs[1])[1:])


def _last_axis_out(_node: Node, inputs: list[Shape], outputs: list[Shape]) -> int:
    return 2 * _elements(outputs[0]) * prod(_sizes(inputs[1])[:-1])


def _depthwise(_node: Node, inputs: list[Shape], outputs: list[Shape]) -> int:
    return 2 * _elements(outputs[0]) * prod(_sizes(inputs[1])[1:3])


def _transposed(_node: Node, inputs: list[Shape], _outputs: list[Shape]) -> int:
    return 2 * _elements(inputs[0]) * prod(_sizes(inputs[1])[1:])


def _tflite_transposed(_node: Node, inputs: list[Shape], _outputs: list[Shape]) -> int:
    return 2 * _elements(inputs[2]) * prod(_sizes(inputs[1])[:-1])


def _attention(_node: Node, inputs: list[Shape], _outputs: list[Shape]) -> int:
    """Return the operations of both products of an attention over [batch, heads, tokens, width]."""
    query, key, value = (_sizes(inputs[place]) for place in range(3))
    if len(query) != 4:
        raise TypeError
    return 2 * query[0] * query[1] * query[2] * key[2] * (query[3] + value[3])


def _packed_attention(_node: Node, inputs: list[Shape], _outputs: list[Shape]) -> int:
    """Return the operations of both products of an attention over [batch, tokens, width], without a past."""
    query, key = _sizes(inputs[0]), _sizes(inputs[1])
    if len(query) != 3:
        raise TypeError
    return 4 * prod(query) * key[1]


def _grouped_attention(_node: Node, inputs: list[Shape], outputs: list[Shape]) -> int:
    """Return the same of GroupQueryAttention, whose second output is the cache [batch, heads, all tokens, width]."""
    return 4 * _elements(inputs[0]) * _sizes(outputs[1])[2]


FORMULAS: Final[Mapping[str, Formula]] = {
    "Attention": _attention,
    "BATCH_MATMUL": _matmul,
    "BatchMatMul": _tf_matmul,
    "BatchMatMulV2": _tf_matmul,
    "BatchMatMulV3": _tf_matmul,
    "CONV_2D": _first_axis_out,
    "Conv": _first_axis_out,
    "Conv2D": _last_axis_out,
    "Conv3D": _last_axis_out,
    "ConvTranspose": _transposed,
    "DEPTHWISE_CONV_2D": _depthwise,
    "Einsum": _einsum,
    "FULLY_CONNECTED": _fully_connected,
    "FusedConv": _first_axis_out,
    "FusedMatMul": _matmul,
    "Gemm": _gemm,
    "GroupQueryAttention": _grouped_attention,
    "MultiHeadAttention": _packed_attention,
    "MatMul": _tf_matmul,
    "TRANSPOSE_CONV": _tflite_transposed,
}
"""Operator -> its operations; the operators of the kinds in `MAIN` that are not here are not counted."""
