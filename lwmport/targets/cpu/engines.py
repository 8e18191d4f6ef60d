"""What may run a model on this machine's processor."""

from typing import Final

ENGINES: Final = {
    "onnx": ("onnxruntime", "openvino"),
    "tflite": ("litert", "openvino"),
    "saved_model": ("tensorflow",),
    "frozen_graph": ("tensorflow",),
}
"""Format -> the runners (`lwmport.runtime.registry.RUNNERS`) that may run it here, the usual one first; ``--soc`` names
another."""
