"""Runners: every runtime behind one protocol (`lwmport.types.Runner`)."""

from typing import Final

from lwmport.registry import Registry

RUNNERS: Final = Registry(
    "kind of model file",
    {
        ".hf": "lwmport.runtime.transformers:TransformersRunner",
        ".onnx": "lwmport.runtime.onnxruntime:OnnxRuntimeRunner",
        ".pb": "lwmport.runtime.tensorflow:TensorFlowRunner",
        ".saved_model": "lwmport.runtime.tensorflow:TensorFlowRunner",
        ".tflite": "lwmport.runtime.litert:LiteRTRunner",
    },
)
"""Suffix of an artifact -> ``Runner(path, threads)``."""
