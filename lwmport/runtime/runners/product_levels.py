"""What ONNX Runtime computes products with weights of integers in: float32, or 8 bits on the other side too.

A model says it of its own operator (MatMulNBits), a setting of what becomes one when the model is opened
(DequantizeLinear and MatMul).
"""

from pathlib import Path
from typing import Final

import onnx

FLOAT32: Final = 1
"""The accuracy level of products in float32, as the standard says."""

ROUNDED: Final = 4
"""That of products whose other side is rounded to 8 bits by blocks: ONNX Runtime's default for what it fuses."""

SETTING: Final = "session.qdq_matmulnbits_accuracy_level"


def with_products(path: Path, level: int) -> bytes:
    """Return an ONNX file whose products are computed at an accuracy level; its weights stay where they are."""
    model = onnx.load(path, load_external_data=False)
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "MatMulNBits" and attribute.name == "accuracy_level":
                attribute.i = level
    return bytes(model.SerializeToString())
