"""How many elements an operator makes of known operands, asked before it makes them: no file is believed."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Final, TypeAlias

import numpy as np
import onnx

from lwmport.targets.graphs.record import LARGEST, product
from lwmport.types import Array

Size: TypeAlias = Callable[[onnx.NodeProto, Sequence[Array]], int]

MOVING: Final = (
    *("Abs", "Cast", "Ceil", "Clip", "Cos", "Exp", "Floor", "Identity", "Log", "Neg", "Not", "Reciprocal"),
    *("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "Shape", "Sin", "Size"),
    *("Slice", "Sqrt", "Squeeze", "Transpose", "Trilu", "Unsqueeze"),
)
"""Operators that make no more elements than their first operand has."""


def result_size(node: onnx.NodeProto, operands: Sequence[Array]) -> int:
    """Return how many elements a node makes, or more; one that is in no table here is taken for an elementwise one.

    Raises:
        ValueError, TypeError, IndexError: the operands are none of the operator's.
    """
    return SIZES.get(node.op_type, _elementwise)(node, operands)


def _elementwise(_node: onnx.NodeProto, operands: Sequence[Array]) -> int:
    return product(np.broadcast_shapes(*(operand.shape for operand in operands)))


def _range(_node: onnx.NodeProto, operands: Sequence[Array]) -> int:
    start, limit, step = (float(operand.item()) for operand in operands)
    return math.ceil(min(abs((limit - start) / step), LARGEST)) if step else 0


def _expand(_node: onnx.NodeProto, operands: Sequence[Array]) -> int:
    pairs = zip_longest(reversed(operands[0].shape), reversed(_numbers(operands[1])), fillvalue=1)
    return product(max(pair) for pair in pairs)


def _gather(node: onnx.NodeProto, operands: Sequence[Array]) -> int:
    table, indices = operands
    axis = next((item.i for item in node.attribute if item.name == "axis"), 0)
    return int(table.size // max(table.shape[axis], 1) * indices.size)


def _gather_nd(_node: onnx.NodeProto, operands: Sequence[Array]) -> int:
    table, indices = operands
    depth = indices.shape[-1]
    return int(indices.size // max(depth, 1) * product(table.shape[depth:]))


def _numbers(operand: Array) -> list[Any]:
    found: list[Any] = operand.ravel().tolist()
    return found


SIZES: Final[Mapping[str, Size]] = {
    **dict.fromkeys(MOVING, lambda _node, operands: int(operands[0].size)),
    "Concat": lambda _node, operands: sum(operand.size for operand in operands),
    "ConstantOfShape": lambda _node, operands: product(_numbers(operands[0])),
    "Expand": _expand,
    "Gather": _gather,
    "GatherND": _gather_nd,
    "Range": _range,
    "Tile": lambda _node, operands: product([operands[0].size, *_numbers(operands[1])]),
}
"""Operator -> how many elements it makes at most."""
