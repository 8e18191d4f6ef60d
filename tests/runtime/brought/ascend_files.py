"""Dumps and tables as an Ascend device, CANN's msaccucmp.py, msit and msprobe write them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

DTYPES = {"float32": 1, "float16": 2, "int8": 3, "int32": 7, "int64": 8, "bfloat16": 27}
FORMATS = {"NCHW": 0, "NHWC": 1, "ND": 2, "NC1HWC0": 3, "FRACTAL_Z": 4, "FRACTAL_NZ": 29}

HEADER = (
    "Index,OpType,NPUDump,DataType,Address,GroundTruth,DataType,TensorIndex,Shape,OverFlow,CosineSimilarity,"
    "MaxAbsoluteError,AccumulatedRelativeError,RelativeEuclideanDistance,KullbackLeiblerDivergence,StandardDeviation,"
    "MeanAbsoluteError,RootMeanSquareError,MaxRelativeError,MeanRelativeError,CompareFailReason,IsNpuOps,IsOutputNode,"
    "IsPrecisionError"
)
MEASURES = '0.999989,0.01,0.002,0.003,0.0001,"(0.1;1.0),(0.1;1.1)",0.004,0.005,0.3,0.06,,NO,NO,NO'


def number(value: int) -> bytes:
    """A varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(key: int, value: int | bytes | str) -> bytes:
    """One field of a protocol buffer."""
    if isinstance(value, int):
        return number(key << 3) + number(value)
    content = value.encode() if isinstance(value, str) else value
    return number(key << 3 | 2) + number(len(content)) + content


def sizes(shape: Iterable[int], *, packed: bool = True) -> bytes:
    """A Shape: proto3 packs its numbers, older writers have a field for each."""
    return field(1, b"".join(map(number, shape))) if packed else b"".join(field(1, size) for size in shape)


def told(array: Any, layout: str = "ND", original: Sequence[int] = (), **origin: Any) -> dict[str, Any]:
    """One tensor of a dump; ``origin`` is name, index and format of the node whose output it is."""
    return {"array": array, "layout": layout, "original": original, "origin": origin}


def tensor(one: Mapping[str, Any], *, output: bool, packed: bool = True) -> bytes:
    array = one["array"]
    parts = [
        field(1, DTYPES[array.dtype.name]),
        field(2, FORMATS[one["layout"]]),
        field(3, sizes(array.shape, packed=packed)),
    ]
    if output and one["origin"]:
        origin = one["origin"]
        parts.append(
            field(4, field(1, origin["name"]) + field(2, origin.get("index", 0)) + field(4, origin.get("format", 0)))
        )
    parts.append(field(6 if output else 5, array.nbytes))
    if one["original"]:
        parts.append(field(7 if output else 6, sizes(one["original"], packed=packed)))
    return b"".join(parts)


def dump(
    outputs: Sequence[Mapping[str, Any]],
    inputs: Sequence[Mapping[str, Any]] = (),
    operator: str = "",
    *,
    packed: bool = True,
) -> bytes:
    """A dump file: size of the message, message, values of the inputs, values of the outputs."""
    message = field(1, "2.0") + field(2, 1682067845380164)
    message += b"".join(field(3, tensor(one, output=True, packed=packed)) for one in outputs)
    message += b"".join(field(4, tensor(one, output=False, packed=packed)) for one in inputs)
    message += field(6, operator) if operator else b""
    values = b"".join(one["array"].tobytes() for one in (*inputs, *outputs))
    return len(message).to_bytes(8, "little") + message + values


def table(path: Path, *rows: str) -> None:
    """A result_TIME.csv."""
    path.write_text("\n".join((HEADER, *rows, "")))


def row(npu: str, truth: str, part: str, shape: str = '"[1,2]"', measures: str = MEASURES) -> str:
    truth = f'"{truth}"' if "," in truth else truth
    return f"3,Mul,{npu},float16,NaN,{truth},float32,{part},{shape},NO,{measures}"


def model(path: Path, *operators: tuple[str, Sequence[tuple[str, int]]]) -> None:
    """What ``atc --mode=1`` writes of a model: operators with the origin of each output."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ops = [
        {
            "name": name,
            "type": "Mul",
            "attr": [{"key": "_datadump_original_op_names", "value": {"list": {"s": [one for one, _ in origins]}}}],
            "output_desc": [
                {
                    "attr": [
                        {"key": "_datadump_origin_name", "value": {"s": origin}},
                        {"key": "_datadump_origin_output_index", "value": {"i": index}},
                    ]
                }
                for origin, index in origins
            ],
        }
        for name, origins in operators
    ]
    path.write_text(json.dumps({"graph": [{"name": "ge_default", "op": ops}]}))


def random(*shape: int, dtype: str = "float32") -> Any:
    return np.random.default_rng(7).normal(size=shape).astype(dtype)
