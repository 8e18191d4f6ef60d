"""What may run a model on this machine's processor, and what it computes in."""

from typing import Final

ENGINES: Final = {
    "onnx": ("onnxruntime", "openvino"),
    "tflite": ("litert", "openvino"),
    "saved_model": ("tensorflow",),
    "frozen_graph": ("tensorflow",),
}
"""Format -> the runners (`lwmport.runtime.registry.RUNNERS`) that may run it here, the usual one first; ``--soc`` names
another."""

PRECISIONS: Final = {
    "onnxruntime": ("float32", "int8"),
    "openvino": ("float32", "bfloat16", "int8"),
    "litert": ("float32",),
    "tensorflow": ("float32",),
}
"""Runner -> what it can be asked to compute products in. int8 rounds what is multiplied with weights of integers."""
