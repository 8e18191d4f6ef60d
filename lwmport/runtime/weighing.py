"""How much of a model file its runtime holds in memory."""

import glob
import math
from pathlib import Path

from lwmport import memory


def held_bytes(path: Path) -> int:
    """Return the bytes of a model file and of the weights beside it, float16 weights of ONNX counted as float32.

    On a CPU ONNX Runtime computes in float32 and folds the casts behind float16 weights: 364 MB were measured for a
    file of 185. The weights' dtypes are looked up where they decide whether memory is scarce, and nowhere else.
    """
    size = sum(file.stat().st_size for file in path.parent.glob(f"{glob.escape(path.name)}*") if file.is_file())
    return size + (_narrow_bytes(path) if path.suffix == ".onnx" and memory.is_scarce(2 * size) else 0)


def _narrow_bytes(path: Path) -> int:
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    narrow = {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
    return sum(2 * math.prod(tensor.dims) for tensor in graph.initializer if tensor.data_type in narrow)
