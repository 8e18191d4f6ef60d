"""What LiteRT's built-in kernels compute: dtypes and ranks of each operator, so that a file that loads also runs."""

from typing import Final

from lwmport.errors import LoweringError

DTYPES: Final = {"bool": "BOOL", "float32": "FLOAT32", "int32": "INT32", "int64": "INT64"}
"""Dtypes that most kernels take -> their names in the schema."""

STORED: Final = {**DTYPES, "float16": "FLOAT16", "uint8": "UINT8", "int8": "INT8", "int4": "INT4"}
"""Dtypes that a tensor may have; float16 is for weights and edges, uint8 for pictures; DEQUANTIZE and CAST make float32
of them. int4 is for weights, int8 also for what convolutions of integers read and make; readers know their scales."""

BITS: Final = {"int4": 4}
"""Dtypes of which a byte holds several values -> bits of a value."""

MAX_RANK: Final = 6
"""XNNPACK's XNN_MAX_TENSOR_DIMS, and what LiteRT's own kernels transpose and broadcast."""

_FLOATS: Final = frozenset({"float32"})
_NUMBERS: Final = frozenset({"float32", "int32", "int64"})
_SHORT: Final = frozenset({"float32", "int32"})
_BOOLEANS: Final = frozenset({"bool"})
_MOVED: Final = frozenset({*DTYPES, "int8"})

TAKES: Final = {
    **dict.fromkeys(("AVERAGE_POOL_2D", "BATCH_MATMUL", "CEIL", "COS", "EXP", "FLOOR", "GELU", "QUANTIZE"), _FLOATS),
    **dict.fromkeys(("FULLY_CONNECTED", "LOG", "LOGISTIC", "MEAN", "ROUND", "RSQRT", "SIN", "SOFTMAX"), _FLOATS),
    **dict.fromkeys(("DEPTHWISE_CONV_2D", "RELU6", "RELU_N1_TO_1", "RESIZE_NEAREST_NEIGHBOR", "SQRT", "TANH"), _FLOATS),
    **dict.fromkeys(("ABS", "ARG_MAX", "ARG_MIN", "DIV", "POW", "SIGN"), _SHORT),
    **dict.fromkeys(("ADD", "CUMSUM", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "MUL", "NEG"), _NUMBERS),
    **dict.fromkeys(("MAXIMUM", "MINIMUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "SUB", "SUM"), _NUMBERS),
    **dict.fromkeys(("CAST", "GATHER"), frozenset(STORED)),
    **dict.fromkeys(("CONCATENATION", "PAD", "RESHAPE"), _MOVED),
    "CONV_2D": frozenset({"float32", "int8"}),
    "DEQUANTIZE": frozenset({"float16", "int8"}),
    "EMBEDDING_LOOKUP": frozenset({"int32"}),
    **dict.fromkeys(("FLOOR_DIV", "FLOOR_MOD"), _NUMBERS),
    **dict.fromkeys(("LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "REDUCE_ALL", "REDUCE_ANY"), _BOOLEANS),
}
"""Operator -> dtypes; the others move data and take every dtype."""

_RANKS: Final = {"BATCH_MATMUL": 5, "PAD": 5, "PADV2": 5, "SLICE": 5, "STRIDED_SLICE": 5}
"""Operator -> most axes, where they are fewer than `MAX_RANK`."""


def check_tensor(name: str, shape: tuple[object, ...], dtype: str) -> None:
    """Return if TFLite's kernels work on such a tensor.

    Raises:
        LoweringError: they do not.
    """
    if dtype not in STORED:
        raise LoweringError(
            f"expected dtypes out of {', '.join(STORED)}, found {dtype} for {name}: LiteRT has no "
            "built-in kernels for it"
        )
    if len(shape) > MAX_RANK:
        raise LoweringError(
            f"expected at most {MAX_RANK} axes, found {list(shape)} for {name}: LiteRT's kernels and "
            "XNNPACK go no further"
        )


def check_operator(op: str, name: str, dtype: str, rank: int) -> None:
    """Return if the kernel of an operator takes the dtype and the rank.

    Raises:
        LoweringError: it does not.
    """
    taken = TAKES.get(op, frozenset(DTYPES))
    if dtype not in taken:
        raise LoweringError(f"expected {op} on {' or '.join(sorted(taken))}, found {dtype} at {name}")
    if rank > _RANKS.get(op, MAX_RANK):
        raise LoweringError(f"expected {op} on at most {_RANKS[op]} axes, found {rank} at {name}")
