"""The table of options that the schema gives each operator, and the fields that are enumerations there."""

from typing import Any, Final

from lwmport.converters.tflite.graph import Operation
from lwmport.converters.tflite.kernels import STORED
from lwmport.converters.tflite.schema import schema

OPTIONS: Final = {
    "ABS": "AbsOptions",
    "ADD": "AddOptions",
    "ARG_MAX": "ArgMaxOptions",
    "ARG_MIN": "ArgMinOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "BROADCAST_TO": "BroadcastToOptions",
    "CAST": "CastOptions",
    "CONCATENATION": "ConcatenationOptions",
    "CONV_2D": "Conv2DOptions",
    "COS": "CosOptions",
    "CUMSUM": "CumsumOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "DEQUANTIZE": "DequantizeOptions",
    "DIV": "DivOptions",
    "DYNAMIC_UPDATE_SLICE": "DynamicUpdateSliceOptions",
    "EQUAL": "EqualOptions",
    "EXP": "ExpOptions",
    "FLOOR_DIV": "FloorDivOptions",
    "FLOOR_MOD": "FloorModOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "GATHER": "GatherOptions",
    "GELU": "GeluOptions",
    "GREATER": "GreaterOptions",
    "GREATER_EQUAL": "GreaterEqualOptions",
    "LESS": "LessOptions",
    "LESS_EQUAL": "LessEqualOptions",
    "LOGICAL_AND": "LogicalAndOptions",
    "LOGICAL_NOT": "LogicalNotOptions",
    "LOGICAL_OR": "LogicalOrOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MEAN": "ReducerOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "MUL": "MulOptions",
    "NEG": "NegOptions",
    "NOT_EQUAL": "NotEqualOptions",
    "PAD": "PadOptions",
    "PADV2": "PadV2Options",
    "POW": "PowOptions",
    "REDUCE_ALL": "ReducerOptions",
    "REDUCE_ANY": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "REDUCE_PROD": "ReducerOptions",
    "RESHAPE": "ReshapeOptions",
    "QUANTIZE": "QuantizeOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "REVERSE_V2": "ReverseV2Options",
    "SELECT_V2": "SelectV2Options",
    "SIGN": "SignOptions",
    "SLICE": "SliceOptions",
    "SOFTMAX": "SoftmaxOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "SUB": "SubOptions",
    "SUM": "ReducerOptions",
    "TRANSPOSE": "TransposeOptions",
}
"""Operator -> its table of options; the others have none."""


def options_of(operation: Operation) -> tuple[int, Any]:
    """Return the kind and the table of an operator's options; the kind is 0 where the operator has none."""
    name = OPTIONS.get(operation.op)
    if name is None:
        return schema.BuiltinOptions.NONE, None
    fields = {**operation.options, **_of_dtypes(operation)}
    if "padding" in fields:
        fields["padding"] = getattr(schema.Padding, fields["padding"])
    return getattr(schema.BuiltinOptions, name), getattr(schema, f"{name}T")(**fields)


def tensor_type(dtype: str) -> int:
    """Return the schema's number of a dtype."""
    return int(getattr(schema.TensorType, STORED[dtype]))


def _of_dtypes(operation: Operation) -> dict[str, int]:
    """Return the options that repeat a dtype."""
    out = tensor_type(operation.output.dtype)
    if operation.op == "CAST" and operation.inputs[0] is not None:
        return {"inDataType": tensor_type(operation.inputs[0].dtype), "outDataType": out}
    return {"outputType": out} if operation.op in {"ARG_MAX", "ARG_MIN"} else {}
