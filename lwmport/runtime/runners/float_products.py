"""ONNX Runtime's products of rounded numbers (MatMulNBits, accuracy level 4) as products in float32, in memory.

The file is as it was. Whoever runs it so learns whether its weights are right, apart from what the rounding of what is
multiplied does.
"""

from pathlib import Path

from lwmport.runtime.runners.onnxruntime import OnnxRuntimeRunner
from lwmport.runtime.runners.product_levels import FLOAT32, with_products
from lwmport.runtime.spec import RunnerContext


def open_with_float_products(path: Path, context: RunnerContext) -> OnnxRuntimeRunner:
    """Return an ONNX file, ready to run, whose products are computed in float32.

    Raises:
        RunnerError: ONNX Runtime refuses it.
    """
    return OnnxRuntimeRunner(path, context.threads, with_products(path, FLOAT32))
