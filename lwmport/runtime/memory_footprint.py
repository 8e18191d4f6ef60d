"""How much of a model file its runtime holds in memory."""

import glob
import math
from pathlib import Path
from typing import Final

from lwmport import memory

LARGEST_GRAPH: Final = 1 << 27
"""Bytes from which an ONNX file is not read to learn which files hold its weights: it holds them itself."""


def held_bytes(path: Path) -> int:
    """Return the bytes of a model, a file or a folder, and of the weights beside it.

    Float16 weights of ONNX are counted as float32: on a CPU ONNX Runtime computes in float32 and folds the casts behind
    them; 364 MB were measured for a file of 185. The weights' dtypes are looked up where they decide whether memory is
    scarce, and nowhere else.
    """
    beside = {*path.parent.glob(f"{glob.escape(path.name)}*"), *_named(path), *path.rglob("*")}
    size = sum(file.stat().st_size for file in beside if file.is_file())
    return size + (_narrow_bytes(path) if path.suffix == ".onnx" and memory.is_scarce(2 * size) else 0)


def _named(path: Path) -> set[Path]:
    """Return the files in which an ONNX model says that its weights are: several models may have one."""
    if path.suffix != ".onnx" or not path.is_file() or path.stat().st_size > LARGEST_GRAPH:
        return set()
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except DecodeError:  # its runtime says so in better words
        return set()
    entries = (entry for tensor in graph.initializer for entry in tensor.external_data if entry.key == "location")
    return {path.parent / entry.value for entry in entries}


def _narrow_bytes(path: Path) -> int:
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    narrow = {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
    return sum(2 * math.prod(tensor.dims) for tensor in graph.initializer if tensor.data_type in narrow)
