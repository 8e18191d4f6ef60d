"""ONNX Runtime's products of rounded numbers (MatMulNBits, accuracy level 4) as products in float32, in memory.

The file is as it was. Whoever runs it so learns whether its weights are right, apart from what the rounding of what is
multiplied does.
"""

from pathlib import Path
from typing import Final

import onnx

from lwmport.runtime.runners.onnxruntime import OnnxRuntimeRunner
from lwmport.runtime.spec import RunnerContext

FLOAT32: Final = 1
"""The accuracy level of products in float32."""


def open_with_float_products(path: Path, context: RunnerContext) -> OnnxRuntimeRunner:
    """Return an ONNX file, ready to run, whose products are computed in float32.

    Raises:
        RunnerError: ONNX Runtime refuses it.
    """
    model = onnx.load(path, load_external_data=False)
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "MatMulNBits" and attribute.name == "accuracy_level":
                attribute.i = FLOAT32
    return OnnxRuntimeRunner(path, context.threads, model.SerializeToString())
