"""The dtypes of ONNX: its own words, the numbers in a file, and the names here, numpy's and ml_dtypes'."""

from typing import Final

WORDS: Final = (
    *("undefined", "float", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16"),
    *("double", "uint32", "uint64", "complex64", "complex128", "bfloat16", "float8e4m3fn", "float8e4m3fnuz"),
    *("float8e5m2", "float8e5m2fnuz", "uint4", "int4", "float4e2m1", "float8e8m0", "uint2", "int2"),
    *("float6e2m3", "float6e3m2"),
)
"""ONNX's words at their numbers. Source: TensorProto.DataType of onnx/onnx.proto3."""

OURS: Final = {
    "float": "float32",
    "double": "float64",
    "float8e4m3fn": "float8_e4m3fn",
    "float8e4m3fnuz": "float8_e4m3fnuz",
    "float8e5m2": "float8_e5m2",
    "float8e5m2fnuz": "float8_e5m2fnuz",
    "float8e8m0": "float8_e8m0fnu",
    "float4e2m1": "float4_e2m1fn",
    "float6e2m3": "float6_e2m3fn",
    "float6e3m2": "float6_e3m2fn",
}
"""Words that have another name here."""

DTYPES: Final = {number: OURS.get(word, word) for number, word in enumerate(WORDS) if number}
"""Number in a file -> name here."""

NUMBERS: Final = {name: number for number, name in DTYPES.items()}
"""Name here -> number in a file."""

KINDS: Final = {f"tensor({word})": OURS.get(word, word) for word in WORDS[1:]}
"""ONNX's word for a tensor of a dtype, as schemas and ONNX Runtime have it -> name here."""

BITS: Final = {"uint4": 4, "int4": 4, "float4_e2m1fn": 4, "uint2": 2, "int2": 2}
"""Dtypes of which a byte holds several -> their bits; the first lies in the lowest ones."""
