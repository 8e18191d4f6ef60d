"""Versions of operators, and the first runtime that has each: what an old runtime reads before it refuses a file.

Facts of LiteRT's tflite/converter/tools/versioning (op_version.cc, runtime_version.cc), for the dtypes written here.
"""

from collections.abc import Iterable
from typing import Final

from lwmport.converters.tflite.graph import Operation, Tensor
from lwmport.types import Levels

FIRST_RUNTIME: Final = {
    ("ABS", 1): "1.13.0",
    ("ABS", 5): "2.12.0",
    ("ADD", 1): "1.5.0",
    ("ADD", 4): "2.6.0",
    ("ARG_MAX", 1): "1.9.0",
    ("ARG_MIN", 1): "1.9.0",
    ("AVERAGE_POOL_2D", 1): "1.5.0",
    ("BATCH_MATMUL", 1): "2.3.0",
    ("BROADCAST_TO", 2): "2.5.0",
    ("CAST", 1): "1.5.0",
    ("CAST", 5): "2.12.0",
    ("CEIL", 1): "1.14.0",
    ("CONCATENATION", 1): "1.5.0",
    ("CONCATENATION", 2): "1.14.0",
    ("CONV_2D", 1): "1.5.0",
    ("CONV_2D", 2): "1.14.0",
    ("CONV_2D", 3): "1.14.0",
    ("CONV_2D", 5): "2.4.0",
    ("CONV_2D", 6): "2.9.0",
    ("COS", 1): "1.14.0",
    ("CUMSUM", 1): "2.4.0",
    ("DEPTHWISE_CONV_2D", 2): "1.12.0",
    ("DEQUANTIZE", 2): "1.14.0",
    ("DEQUANTIZE", 3): "1.15.0",
    ("DEQUANTIZE", 5): "2.7.0",
    ("DIV", 1): "1.6.0",
    ("DIV", 2): "2.3.0",
    ("DYNAMIC_UPDATE_SLICE", 1): "2.9.0",
    ("EMBEDDING_LOOKUP", 4): "2.18.0",
    ("EQUAL", 1): "1.14.0",
    ("EXP", 1): "1.7.0",
    ("FLOOR", 1): "1.9.0",
    ("FLOOR_DIV", 1): "1.14.0",
    ("FLOOR_MOD", 1): "1.13.0",
    ("FULLY_CONNECTED", 5): "2.0.0",
    ("FULLY_CONNECTED", 6): "2.1.0",
    ("FULLY_CONNECTED", 10): "2.11.0",
    ("FULLY_CONNECTED", 12): "2.17.0",
    ("GATHER", 1): "1.6.0",
    ("GELU", 1): "2.9.0",
    ("GREATER", 1): "1.14.0",
    ("GREATER_EQUAL", 1): "1.14.0",
    ("LESS", 1): "1.14.0",
    ("LESS_EQUAL", 1): "1.14.0",
    ("LOG", 1): "1.14.0",
    ("LOGICAL_AND", 1): "1.11.0",
    ("LOGICAL_NOT", 1): "1.11.0",
    ("LOGICAL_OR", 1): "1.11.0",
    ("LOGISTIC", 1): "1.14.0",
    ("MAXIMUM", 1): "1.14.0",
    ("MAXIMUM", 3): "2.3.0",
    ("MEAN", 1): "1.6.0",
    ("MINIMUM", 1): "1.14.0",
    ("MINIMUM", 3): "2.3.0",
    ("MUL", 1): "1.5.0",
    ("MUL", 5): "2.6.0",
    ("NEG", 1): "1.9.0",
    ("NOT_EQUAL", 1): "1.14.0",
    ("PAD", 1): "1.5.0",
    ("PAD", 2): "1.14.0",
    ("PAD", 4): "2.6.0",
    ("PAD", 5): "2.20.0",
    ("PADV2", 1): "1.9.0",
    ("PADV2", 4): "2.6.0",
    ("PADV2", 5): "2.20.0",
    ("POW", 1): "1.10.0",
    ("QUANTIZE", 1): "1.14.0",
    ("REDUCE_ALL", 1): "2.6.0",
    ("REDUCE_ANY", 1): "1.11.0",
    ("REDUCE_MAX", 1): "1.11.0",
    ("REDUCE_MIN", 1): "1.11.0",
    ("REDUCE_PROD", 1): "1.11.0",
    ("RELU6", 1): "1.5.0",
    ("RELU_N1_TO_1", 1): "1.5.0",
    ("RESHAPE", 1): "1.5.0",
    ("RESIZE_NEAREST_NEIGHBOR", 1): "1.13.1",
    ("REVERSE_V2", 1): "1.14.0",
    ("REVERSE_V2", 2): "2.2.0",
    ("ROUND", 1): "1.14.0",
    ("RSQRT", 1): "1.10.0",
    ("SELECT_V2", 1): "2.2.0",
    ("SIGN", 1): "2.11.0",
    ("SIGN", 2): "2.12.0",
    ("SIN", 1): "1.9.0",
    ("SLICE", 1): "1.14.0",
    ("SLICE", 5): "2.5.0",
    ("SOFTMAX", 1): "1.5.0",
    ("SQRT", 1): "1.10.0",
    ("STRIDED_SLICE", 1): "1.6.0",
    ("STRIDED_SLICE", 4): "2.2.0",
    ("SUB", 1): "1.6.0",
    ("SUB", 3): "2.3.0",
    ("SUB", 4): "2.4.0",
    ("SUM", 1): "1.10.0",
    ("TANH", 1): "1.14.0",
    ("TRANSPOSE", 1): "1.6.0",
    ("TRANSPOSE", 3): "1.15.0",
    ("TRANSPOSE", 4): "2.3.0",
    ("TRANSPOSE", 6): "2.12.0",
}
"""(operator, version) -> the first TensorFlow Lite that runs it."""


def version_of(operation: Operation) -> int:
    """Return the version of an operator: the lowest whose features it uses."""
    present = [tensor for tensor in operation.inputs if tensor is not None]
    dtype, rank = present[0].dtype, max(len(tensor.shape) for tensor in present)
    if operation.op == "CAST" and "float16" in {dtype, operation.output.dtype}:
        return 5
    if operation.op in FEATURES:
        return FEATURES[operation.op](present, dtype, rank)
    return 1


def min_runtime(operations: Iterable[Operation]) -> str:
    """Return the first runtime that has every operator."""
    found = {FIRST_RUNTIME[operation.op, version_of(operation)] for operation in operations}
    return max(found, key=lambda version: [int(part) for part in version.split(".")], default="1.5.0")


def _spreads(inputs: list[Tensor]) -> bool:
    return len({tensor.shape for tensor in inputs}) > 1


def _wide_broadcast(inputs: list[Tensor], rank: int, version: int) -> int:
    return version if _spreads(inputs) and rank > 4 else 1


def _sub(inputs: list[Tensor], dtype: str, rank: int) -> int:
    return 4 if dtype == "int64" else _wide_broadcast(inputs, rank, 3)


def _conv(inputs: list[Tensor], dtype: str, _rank: int) -> int:
    if dtype == "int8":
        return 3
    if inputs[0].shape[3] != inputs[1].shape[3]:
        return 6
    return 5 if inputs[1].dtype == "int8" else 1


def _dequantize(inputs: list[Tensor], dtype: str, _rank: int) -> int:
    """Return the version: 5 is the first that knows a scale for each channel."""
    if dtype != "int8":
        return 3
    return 2 if isinstance(inputs[0].scales, Levels) else 5


def _fully_connected(inputs: list[Tensor], _dtype: str, _rank: int) -> int:
    """Return the version: 10 is the first that knows int4, and 12 the first that knows a scale for each output."""
    plain = 6 if len(inputs) == 2 else 5
    return {"int4": 10, "int8": 12}.get(inputs[1].dtype, plain)


def _pad(_inputs: list[Tensor], dtype: str, rank: int) -> int:
    return 5 if dtype == "bool" else 4 if rank > 4 else 2 if dtype == "int8" else 1


def _transpose(_inputs: list[Tensor], dtype: str, rank: int) -> int:
    return 6 if rank > 5 else 4 if rank > 4 else 3 if dtype == "bool" else 1


FEATURES: Final = {
    "ABS": lambda _inputs, dtype, _rank: 5 if dtype == "int32" else 1,
    "ADD": lambda _inputs, dtype, _rank: 4 if dtype == "int64" else 1,
    "BROADCAST_TO": lambda _inputs, _dtype, _rank: 2,
    "CONCATENATION": lambda _inputs, dtype, _rank: 2 if dtype == "int8" else 1,
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": lambda _inputs, _dtype, _rank: 2,
    "DEQUANTIZE": _dequantize,
    "DIV": lambda inputs, _dtype, rank: _wide_broadcast(inputs, rank, 2),
    "EMBEDDING_LOOKUP": lambda _inputs, _dtype, _rank: 4,
    "FULLY_CONNECTED": _fully_connected,
    "MAXIMUM": lambda inputs, _dtype, rank: _wide_broadcast(inputs, rank, 3),
    "MINIMUM": lambda inputs, _dtype, rank: _wide_broadcast(inputs, rank, 3),
    "MUL": lambda _inputs, dtype, _rank: 5 if dtype == "int64" else 1,
    "PAD": _pad,
    "PADV2": _pad,
    "REVERSE_V2": lambda _inputs, dtype, _rank: 2 if dtype == "bool" else 1,
    "SIGN": lambda _inputs, dtype, _rank: 2 if dtype == "int32" else 1,
    "SLICE": lambda _inputs, _dtype, rank: 5 if rank > 4 else 1,
    "STRIDED_SLICE": lambda _inputs, _dtype, rank: 4 if rank > 4 else 1,
    "SUB": _sub,
    "TRANSPOSE": _transpose,
}
